"""A step whose agent plans for others: its looks at the goal, at what its steps found, at the end.

Each look is one attempt. What a look was told and what its model said are journalled, so that a
takeover neither pays for it again nor decides anew. It ends with a revision of the plan, with a
question to people, or with the step's output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, cast

import structlog
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from agents import claims
from agents.domain import Answer, Evidence, JsonObject, Step
from agents.drafts import (
    PLAN_SCHEMA,
    REVIEW_SCHEMA,
    SYNTHESIS_SCHEMA,
    PlanDraft,
    ReviewDraft,
    SynthesisDraft,
)
from agents.estimate import estimate
from agents.matching import NoMatch, match
from agents.models.port import Message, ModelError, ModelRequest, NoModelError, Role
from agents.planning import (
    Scope,
    best_agent,
    check_plan,
    check_review,
    only_step,
    steps_of,
    with_answer,
    workflow_inputs,
    workflow_steps,
)
from agents.redact import redact
from agents.supervising import (
    answer_from_outputs,
    answer_output,
    correction_message,
    full_text,
    look_message,
    plain_answer,
    synthesis_output,
    system_message,
)
from agents.wording import one_line
from config.specs import WorkflowSpec
from jobs import commands as c
from jobs import planning
from jobs.asking import Suspended
from jobs.briefing import QUESTION, scope_of, situation_of, summaries
from jobs.commands import Refused
from jobs.filling import StepError
from jobs.patience import patiently
from jobs.run import MAX_NOTE_CHARS
from jobs.service import UnknownRunError
from jobs.state import TERMINAL, Question, Run, Status
from jobs.store import ConflictError, StoreUnavailableError
from jobs.summary import call_text, missing, timeline
from jobs.thinking import StoppedAtBudget
from jobs.workbench import Workbench

log = structlog.get_logger(__name__)

MAX_FIXES = 2
"""How often a plan that cannot be goes back to its author."""
MAX_QUESTIONS = 2
"""How much a supervisor may ask of people before it plans."""
MAX_LATER_QUESTIONS = 1
MAX_ROUNDS = 3
"""How often one look is repeated because something came up while its model was thinking."""
MAX_TITLE_CHARS = 80
MAX_REASON_CHARS = 500
START, STOP = "start", "stop"
PLAN_QUESTION = "plan"
IMAGE = "image/"
ANSWER = TypeAdapter(Answer)
D = TypeVar("D", PlanDraft, ReviewDraft, SynthesisDraft)


@dataclass(frozen=True, slots=True)
class Told:
    """What a look knows: the ended steps, which of them are news, and what people wrote."""

    seen: tuple[str, ...] = ()
    news: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    heard_at: float = 0.0
    is_over: bool = False


TOLD = TypeAdapter(Told)


async def supervise_step(bench: Workbench) -> JsonValue:
    """Return the supervisor's output once its plan has ended; raises Suspended to plan or ask."""
    supervision = _Supervision(bench)
    if bench.run.steps[bench.step.id].subplan is None:
        return await supervision.first_look()
    return await supervision.later_look()


class _Supervision:
    """One attempt at one supervising step."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._step = bench.step
        self._id = bench.step.id
        subplan = bench.run.steps[self._id].subplan
        self._look = subplan.looks + 1 if subplan else 1

    async def first_look(self) -> JsonValue:
        """Decide what to do about the goal."""
        run, scope = self._bench.run, scope_of(self._bench, self._bench.run)
        told = await self._told(run, "1")
        await self._note("Planning")
        try:
            draft = await self._decide(
                run, scope, "1", "plan", told, PlanDraft, check_plan, MAX_QUESTIONS
            )
        except NoModelError as error:
            return await self._by_words(scope, told, str(error))
        except StoppedAtBudget as error:
            return plain_answer("Nothing was done: the budget is used up.", missing=[str(error)])
        except ModelError as error:
            draft, reason = None, str(error)
        else:
            reason = "no plan of it could be carried out"
        if draft is None:
            return await self._by_one_agent(scope, told, reason)
        if draft.decision == "answer" and draft.answer is not None:
            return await self._dressed(answer_output(draft.answer))
        return await self._carry_out(draft, scope, told)

    async def later_look(self) -> JsonValue:
        """Look at what has happened, and change the plan, go on, or sum up."""
        for number in range(1, MAX_ROUNDS + 1):
            run = await self._fresh()
            key = f"{self._look}" if number == 1 else f"{self._look}-{number}"
            told = await self._told(run, key)
            if not told.is_over or told.news or told.messages:
                command = await self._review(run, told, key)
                if command is not None:
                    raise Suspended(command)
                run = await self._fresh()
            if not self._is_over(run):
                continue  # What was decided at the end no longer holds: look again.
            output = await self._synthesis(run, told, key)
            if not self._unheard(await self._fresh(), told):
                return output
        return await self._from_outputs(await self._fresh(), "it changed while it was summed up")

    # What a look knows.

    async def _fresh(self) -> Run:
        return await patiently(lambda: self._bench.runs.get(self._bench.run.id))

    async def _told(self, run: Run, key: str) -> Told:
        """Return what this look is told: the same after a takeover, whatever came since."""

        async def make() -> JsonValue:
            state = run.steps[self._id]
            subplan = state.subplan
            heard = [one.at for one in run.signals if one.kind == planning.MESSAGE]
            told = Told(
                seen=tuple(k for k in state.children if run.steps[k].status in TERMINAL),
                news=tuple(planning.news(run, state.children, subplan)) if subplan else (),
                messages=tuple(planning.unheard(run, self._id, subplan)),
                heard_at=max(heard, default=0.0),
                is_over=bool(state.children) and self._is_over(run),
            )
            return cast(JsonValue, TOLD.dump_python(told, mode="json"))

        return TOLD.validate_python(await self._bench.thinking.once(f"told-{key}", make))

    def _is_over(self, run: Run) -> bool:
        return all(run.steps[key].status in TERMINAL for key in run.steps[self._id].children)

    def _unheard(self, run: Run, told: Told) -> bool:
        subplan = run.steps[self._id].subplan
        if subplan is None:
            return False
        return bool(planning.unheard(run, self._id, replace(subplan, heard_at=told.heard_at)))

    async def _note(self, text: str) -> None:
        """Say on the card what the supervisor is doing."""
        lease = self._bench.lease
        command = c.NoteStep(self._id, lease.attempt, text[:MAX_NOTE_CHARS])
        try:
            await self._bench.runs.send(lease.run_id, command)
        except (Refused, UnknownRunError, StoreUnavailableError, ConflictError) as error:
            log.debug("note_dropped", reason=str(error))

    # What its model says.

    async def _draft(
        self,
        run: Run,
        scope: Scope,
        key: str,
        prompt: str,
        told: Told,
        shape: type[D],
        check: Callable[[D, Scope], list[str]] | None = None,
        *,
        may_ask: bool = True,
    ) -> D | None:
        """Return what the model decides, or None when it cannot be had after all corrections."""
        situation = await situation_of(
            self._bench,
            run,
            news=tuple(self._news_line(run, child) for child in told.news),
            messages=told.messages,
            may_ask=may_ask,
        )
        messages: list[Message] = [
            system_message(self._bench.agent, scope),
            look_message(prompt, situation),
        ]
        for fix in range(MAX_FIXES + 1):
            full_key = key if not fix else f"{key}-fix-{fix}"
            reply = await self._bench.thinking.call(full_key, self._request(messages, shape))
            draft, errors = _read(reply.output, shape)
            if draft is not None and check is not None:
                errors = check(draft, scope)
            if draft is not None and not errors:
                return draft
            log.info("plan_sent_back", key=full_key, errors=errors)
            said = reply.text or str(reply.output)
            messages += [Message(Role.ASSISTANT, said), correction_message(errors)]
        return None

    def _request(self, messages: Sequence[Message], shape: type[BaseModel]) -> ModelRequest:
        agent = self._bench.agent
        return ModelRequest(
            alias=agent.model or "",
            messages=tuple(messages),
            output_schema=_SCHEMAS[shape],
            max_output_tokens=agent.max_output_tokens,
            purpose="synthesis" if shape is SynthesisDraft else "plan",
        )

    def _news_line(self, run: Run, child: str) -> str:
        name = child.removeprefix(f"{self._id}.")
        is_failed = run.steps[child].status is Status.FAILED
        return f"{name} failed" if is_failed else f"{name} found what may change the plan"

    async def _decide(
        self,
        run: Run,
        scope: Scope,
        key: str,
        prompt: str,
        told: Told,
        shape: type[D],
        check: Callable[[D, Scope], list[str]],
        most: int,
    ) -> D | None:
        """Return what the model decides in the end; raises Suspended when it asks people first.

        It is asked again with their answers, at most so often; None when it gives no decision.
        """
        for asked in range(most + 1):
            full = f"plan-{key}" if not asked else f"plan-{key}-asked-{asked}"
            may_ask = self._bench.agent.may_ask and asked < most
            draft = await self._draft(run, scope, full, prompt, told, shape, check, may_ask=may_ask)
            if draft is None or isinstance(draft, SynthesisDraft) or draft.decision != "ask":
                return draft
            if not may_ask:
                break
            self._require_answer(run, full, draft.question, draft.options)
        return None

    def _require_answer(self, run: Run, key: str, question: str, options: Sequence[str]) -> None:
        """Return when people have answered; else raise Suspended."""
        question_id = f"q-{run.id}-{self._id}-{key}"
        known = run.questions.get(question_id)
        if known is not None and known.answer is not None:
            return
        raise self._suspended(question_id, redact(question.strip()), options, QUESTION)

    def _suspended(
        self, question_id: str, text: str, options: Sequence[str], kind: str
    ) -> Suspended:
        return Suspended(
            c.AskQuestion(
                step_id=self._id,
                attempt=self._bench.lease.attempt,
                question=Question(
                    id=question_id,
                    step_id=self._id,
                    text=text,
                    options=tuple(option.strip() for option in options),
                    asked_at=self._bench.clock(),
                    kind=kind,
                ),
            )
        )

    async def _review(self, run: Run, told: Told, key: str) -> c.RevisePlan | None:
        """Return how the plan goes on; None when it is at its end."""
        await self._note("Reviewing what failed" if told.news else "Reviewing the plan")
        scope = scope_of(self._bench, run)
        draft: ReviewDraft | None = None
        why = "the plan goes on as it is"
        try:
            draft = await self._decide(
                run, scope, key, "replan", told, ReviewDraft, check_review, MAX_LATER_QUESTIONS
            )
        except (ModelError, StoppedAtBudget) as error:
            why = f"the plan goes on as it is: {error}"
        command = self._revision(run, told, draft, scope, why)
        if command.steps and not self._is_agreed(run, scope, command.steps):
            command = replace(command, steps=(), dropped=(), reason="the change was too dear")
        return await self._fitting(command)

    # What becomes of it.

    async def _carry_out(self, draft: PlanDraft, scope: Scope, told: Told) -> JsonValue:
        """Plan what was decided; returns only when a person does not want it started."""
        if draft.decision == "workflow":
            workflow = scope.workflows[draft.workflow]
            inputs, _ = workflow_inputs(workflow, draft.inputs, scope.world)
            return await self._start_workflow(workflow, inputs, draft.reason, scope, told)
        steps, answer = steps_of(draft.steps, scope), ""
        if len(steps) == 1:
            only, answer = with_answer(steps[0], scope)
            steps = (only,)
        return await self._start(self._command(draft.reason, told, steps, answer=answer), scope)

    async def _start_workflow(
        self, workflow: WorkflowSpec, inputs: JsonObject, reason: str, scope: Scope, told: Told
    ) -> JsonValue:
        command = self._command(
            reason,
            told,
            workflow_steps(workflow, scope),
            answer=scope.full(workflow.answer),
            workflow=workflow.name,
            inputs=inputs,
        )
        command = replace(
            command, max_wall_s=workflow.max_wall_s, service_levels=workflow.service_levels
        )
        return await self._start(command, scope)

    async def _start(self, command: c.RevisePlan, scope: Scope) -> JsonValue:
        if not self._is_agreed(self._bench.run, scope, command.steps):
            asked = self._bench.run.questions[self._plan_question_id]
            return plain_answer(
                f"Not started: {asked.answered_by} found the plan too dear.",
                summary=asked.text,
                recommendations=["Ask for less, or raise ask_above_usd in models.yaml."],
            )
        raise Suspended(self._possible(await self._fresh(), command))

    def _possible(self, run: Run, command: c.RevisePlan) -> c.RevisePlan:
        """Return the command if the run would take it as it is now; else StepError says why."""
        try:
            planning.revise(run, command, self._bench.clock())
        except Refused as refusal:
            raise StepError(f"the plan cannot be carried out: {refusal.sentence}") from refusal
        return command

    def _command(
        self,
        reason: str,
        told: Told,
        steps: tuple[Step, ...],
        *,
        dropped: tuple[str, ...] = (),
        answer: str = "",
        workflow: str = "",
        inputs: JsonObject | None = None,
    ) -> c.RevisePlan:
        return c.RevisePlan(
            step_id=self._id,
            attempt=self._bench.lease.attempt,
            reason=redact(one_line(reason, MAX_REASON_CHARS)),
            steps=steps,
            dropped=dropped,
            answer=answer,
            workflow=workflow,
            inputs=inputs,
            seen=told.seen,
            heard_at=told.heard_at,
        )

    def _revision(
        self, run: Run, told: Told, draft: ReviewDraft | None, scope: Scope, why: str
    ) -> c.RevisePlan:
        """Return the command that a later look comes to."""
        if draft is None or draft.decision == "go_on":
            return self._command(draft.reason if draft else why, told, ())
        if draft.decision == "finish":
            dropped = tuple(step.id for step in scope.steps if step.id not in scope.begun)
            return self._command(draft.reason, told, (), dropped=dropped)
        steps = steps_of(draft.steps, scope)
        dropped = tuple(map(scope.full, dict.fromkeys(draft.dropped)))
        subplan = run.steps[self._id].subplan
        answer = subplan.answer if subplan and not steps else ""
        is_kept = answer not in dropped and answer not in scope.failed
        return self._command(
            draft.reason, told, steps, dropped=dropped, answer=answer if is_kept else ""
        )

    async def _fitting(self, command: c.RevisePlan) -> c.RevisePlan | None:
        """Return the command as the run can take it now; None when nothing is left to do.

        A step may have begun, or the last one ended, while the model was thinking.
        """
        run = await self._fresh()
        children = run.steps[self._id].children
        begun = {key for key in children if run.steps[key].status is not Status.PENDING}
        begun |= {key for key in children if run.steps[key].attempt}
        kept = tuple(step for step in command.steps if step.id not in begun)
        dropped = tuple(key for key in command.dropped if key not in begun)
        is_open = any(run.steps[key].status not in TERMINAL for key in children)
        if not kept and not is_open:
            return None
        answer = command.answer
        if answer and run.steps[answer].status in TERMINAL:
            answer = ""
        fitting = replace(command, steps=kept, dropped=dropped, answer=answer)
        try:
            return self._possible(run, fitting)
        except StepError as error:
            # Others have filled the run meanwhile: what works goes on, and can still be summed up.
            log.warning("plan_not_changed", reason=str(error))
            if not is_open:
                return None
            reason = one_line(f"the plan goes on as it is: {error}", MAX_REASON_CHARS)
            return replace(fitting, steps=(), dropped=(), answer="", reason=reason)

    @property
    def _plan_question_id(self) -> str:
        return f"q-{self._bench.run.id}-{self._id}-cost-{self._look}"

    def _is_agreed(self, run: Run, scope: Scope, steps: tuple[Step, ...]) -> bool:
        """Say whether the steps may start: cheap ones always, others when a person said so."""
        most = self._bench.budgets.ask_above_usd
        price = self._bench.thinking.model.price_usd
        found = estimate(steps, scope.agents, self._bench.agent, price)
        if most is None or found.usd <= most:
            return True
        known = run.questions.get(self._plan_question_id)
        if known is not None and known.answer is not None:
            return known.answer == START
        partly = ", not counting models of unknown price" if found.is_partial else ""
        text = (
            f"This plan of {len(steps)} steps is likely to cost about ${found.usd:.2f} and at most "
            f"${found.most_usd:.2f} in model calls{partly}. Start it?"
        )
        raise self._suspended(self._plan_question_id, text, (START, STOP), PLAN_QUESTION)

    # Without a plan of its model's own.

    async def _by_words(self, scope: Scope, told: Told, why: str) -> JsonValue:
        """Choose a workflow by the words of the goal, because no model can be asked."""
        goal = self._goal
        if not scope.workflows:
            return plain_answer(
                "No model answers, and only a model can plan for a team, so nothing was done.",
                recommendations=["See which models answer with: muster models"],
                missing=[why],
            )
        found = match(goal, scope.workflows, scope.world.services)
        if isinstance(found, NoMatch):
            return plain_answer(
                "No model answers, and no workflow fits these words, so nothing was done.",
                summary=found.sentence,
                recommendations=[*found.choices, "See which models answer with: muster models"],
                missing=[why],
            )
        reason = f"{found.why} It was chosen by its words, because {why}."
        return await self._start_workflow(found.workflow, found.inputs, reason, scope, told)

    async def _by_one_agent(self, scope: Scope, told: Told, why: str) -> JsonValue:
        """Give the whole goal to the agent that fits best, because there is no plan."""
        goal = self._goal
        agent = best_agent(goal, scope.team)
        if agent is None:
            return plain_answer(
                "No plan could be made, and no agent can take the goal alone.", missing=[why]
            )
        step, answer = with_answer(only_step(agent, goal, scope), scope)
        reason = f"{agent.title} takes the goal alone, because {why}"
        inputs: JsonObject = {"goal": goal}
        command = self._command(reason, told, (step,), answer=answer, inputs=inputs)
        return await self._start(command, scope)

    @property
    def _goal(self) -> str:
        return self._step.instruction or self._bench.run.goal.text

    # The end.

    async def _synthesis(self, run: Run, told: Told, key: str) -> JsonValue:
        """Return the answer, summed up by the model or, failing that, listed by code."""
        await self._note("Writing the answer")
        try:
            draft = await self._draft(
                run,
                scope_of(self._bench, run),
                f"synthesis-{key}",
                "synthesis",
                told,
                SynthesisDraft,
            )
        except (ModelError, StoppedAtBudget) as error:
            return await self._from_outputs(run, str(error))
        if draft is None:
            return await self._from_outputs(run, "its model gave no answer of the right form")
        texts = {
            step.id.removeprefix(f"{self._id}."): (step.title, text)
            for step in run.siblings(self._id)
            if (text := full_text(run.steps[step.id].output))
        }
        return await self._dressed(synthesis_output(draft, texts))

    async def _from_outputs(self, run: Run, why: str) -> JsonValue:
        """Return an answer that code makes of what the steps gave."""
        evidence = dict(await patiently(lambda: self._bench.runs.store.evidence(run.id)))
        found = summaries(run, self._id, evidence)
        outputs = [run.steps[step.id].output for step in run.siblings(self._id)]
        return await self._dressed(answer_from_outputs(found, outputs, why))

    async def _dressed(self, output: JsonObject) -> JsonValue:
        """Add to an answer what code knows better than a model: what was done, and when.

        The claims of the run's own answer are checked by the executor; those that go to a
        supervisor above are checked here.
        """
        run = await self._fresh()
        try:
            answer = ANSWER.validate_python(output)
        except ValidationError as error:
            raise StepError(f"its output is not an answer: {error.errors()[0]['msg']}") from error
        evidence = dict(await patiently(lambda: self._bench.runs.store.evidence(run.id)))
        if run.gives_answer(self._id):
            answer = replace(answer, timeline=tuple(timeline(run)), charts=_charts(evidence))
        else:
            answer = claims.check(answer, evidence)
        prefix = f"{self._id}."
        mine = tuple(call for call in run.calls.values() if call.step_id.startswith(prefix))
        said = dict.fromkeys((*answer.missing, *missing(run, prefix)))
        answer = replace(
            answer,
            actions=tuple(f"{redact(call_text(call))}: {call.status}" for call in mine),
            missing=tuple(said),
        )
        return cast(JsonValue, ANSWER.dump_python(answer, mode="json"))


_SCHEMAS = {
    PlanDraft: PLAN_SCHEMA,
    ReviewDraft: REVIEW_SCHEMA,
    SynthesisDraft: SYNTHESIS_SCHEMA,
}


def _read(output: JsonValue, shape: type[D]) -> tuple[D | None, list[str]]:
    try:
        return shape.model_validate(output), []
    except ValidationError as error:
        faults = error.errors()[:MAX_ROUNDS]
        return None, [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in faults]


def _charts(evidence: dict[str, Evidence]) -> tuple[str, ...]:
    return tuple(one.id for one in evidence.values() if one.media_type.startswith(IMAGE))
