"""What a run is doing, in words: the headline of its card and the phase of each supervisor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agents.domain import Step
from agents.wording import one_line
from config.specs import AgentSpec
from jobs.planning import finding_of, unheard
from jobs.state import TERMINAL, Approval, ApprovalStatus, Run, Status

MAX_HEADLINE_CHARS = 160
MAX_STEPS_NAMED = 3
PLANNING = "Planning"
ANSWERING = "Writing the answer"

Agents = Mapping[str, AgentSpec]


def is_planner(run: Run, step_id: str, agents: Agents) -> bool:
    """Say whether a step plans for others, be it that it has or that its agent does."""
    state = run.steps[step_id]
    agent = agents.get(state.agent)
    return state.subplan is not None or (agent is not None and agent.supervises)


def root_planner(run: Run, agents: Agents) -> Step | None:
    """Return the step that plans the whole run; None for a run with a plan of its own."""
    if run.plan.workflow or len(run.plan.steps) != 1:
        return None
    (only,) = run.plan.steps
    return only if is_planner(run, only.id, agents) else None


def phase(run: Run, step_id: str) -> str:
    """Say what a supervising step is doing now; empty while others work, and after its end."""
    state = run.steps[step_id]
    is_active = state.status is Status.QUEUED or (
        state.status is Status.RUNNING and not state.is_waiting_for_children
    )
    if not is_active:
        return ""
    subplan = state.subplan
    if subplan is None:
        return PLANNING
    if unheard(run, step_id, subplan):
        return "Taking in what was said"
    children = [run.steps[key] for key in state.children]
    if all(child.status in TERMINAL for child in children):
        return ANSWERING if run.gives_answer(step_id) else "Summing up"
    unseen = [run.steps[key] for key in state.children if key not in subplan.seen]
    if any(child.status is Status.FAILED for child in unseen):
        return "Reviewing what failed"
    if any(finding_of(child) for child in unseen):
        return "Reviewing what was found"
    return "Reviewing the plan"


def headline(run: Run, agents: Agents | None = None) -> str:
    """Say in one line what is going on: the phase while it runs, the outcome after."""
    return one_line(_headline(run, agents or {}), MAX_HEADLINE_CHARS)


def _headline(run: Run, agents: Agents) -> str:
    if run.is_over:
        return run.answer.headline if run.answer else f"Ended: {run.status}"
    if run.stopped_by:
        return f"Stopping, asked by {run.stopped_by}"
    waiting = [approval_title(run, a) for a in run.approvals.values() if is_open(a)]
    if waiting:
        return f"Waiting for approval: {first_of(waiting)}{_meanwhile(run)}"
    questions = [q.text for q in run.questions.values() if q.is_open]
    if questions:
        return f"Waiting for an answer: {first_of(questions)}{_meanwhile(run)}"
    return _work(run, agents)


def _work(run: Run, agents: Agents) -> str:
    """Say who works on what, and how far it is."""
    leaves = _leaves(run, agents)
    done = sum(run.steps[step.id].status in TERMINAL for step in leaves)
    far = f"({done} of {len(leaves)} done)"
    running = _titles(run, leaves, Status.RUNNING)
    if phases := _phases(run, agents):
        if not leaves or done == len(leaves):
            return phases
        return f"{phases}; meanwhile: {_joined(running)} {far}" if running else f"{phases} {far}"
    if running:
        return f"{_joined(running)} {far}"
    queued = _titles(run, leaves, Status.QUEUED)
    if queued:
        return f"Waiting for a free worker: {_joined(queued)} {far}"
    retried = [step.title for step in leaves if run.steps[step.id].retry_at is not None]
    if retried:
        return f"Trying again in a moment: {_joined(retried)} {far}"
    return f"{done} of {len(leaves)} done"


def _leaves(run: Run, agents: Agents) -> list[Step]:
    """Return the steps that do something themselves; the run's own supervisor is none."""
    root = root_planner(run, agents)
    return [step for step in run.all_steps() if not run.steps[step.id].children and step != root]


def _phases(run: Run, agents: Agents) -> str:
    """Return what the run's own supervisor does, else what one below it does with its plan."""
    root = root_planner(run, agents)
    if root is not None and (found := phase(run, root.id)):
        return found
    for step in run.all_steps():
        if run.steps[step.id].subplan is not None and (found := phase(run, step.id)):
            return found if step == root else f"{found}: {step.title}"
    return ""


def _meanwhile(run: Run) -> str:
    """Say what goes on while people are waited for; empty when nothing does."""
    leaves = [step for step in run.all_steps() if not run.steps[step.id].children]
    running = _titles(run, leaves, Status.RUNNING)
    return f" (meanwhile: {_joined(running)})" if running else ""


def is_open(approval: Approval) -> bool:
    """Whether the approval waits for a decision."""
    return approval.status is ApprovalStatus.PENDING


def approval_title(run: Run, approval: Approval) -> str:
    """Return what an approval is about, in a few words."""
    titles = [call.title for call in approval.calls if call.title]
    return approval.title or first_of(titles or [run.step(approval.step_id).title])


def first_of(texts: list[str]) -> str:
    """Return the first text, and how many more there are."""
    more = len(texts) - 1
    return f"{texts[0]} (and {more} more)" if more else texts[0]


def _titles(run: Run, steps: Iterable[Step], status: Status) -> list[str]:
    """Return the titles of the steps in a status, a fan-out's children under one name."""
    titles = [_group_title(run, step) for step in steps if run.steps[step.id].status is status]
    return list(dict.fromkeys(titles))


def _group_title(run: Run, step: Step) -> str:
    is_of_fan_out = step.parent and run.steps[step.parent].subplan is None
    return run.step(step.parent).title if is_of_fan_out else step.title


def _joined(titles: list[str]) -> str:
    """Join titles as people do: `Look at metrics, logs and 2 more`."""
    shown = titles[:MAX_STEPS_NAMED]
    more = len(titles) - len(shown)
    said = len(_common_words(shown))
    rest = [" ".join(title.split()[said:]) for title in shown[1:]]
    parts = [shown[0], *(_lower_first(title) for title in rest)]
    if more:
        parts.append(f"{more} more")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _common_words(titles: list[str]) -> list[str]:
    """Return the words that all titles begin with, such as `Look at`, but never a whole title."""
    words = [title.split()[:-1] for title in titles]
    common: list[str] = []
    for column in zip(*words, strict=False):
        if len(set(column)) > 1:
            break
        common.append(column[0])
    return common


def _lower_first(title: str) -> str:
    """Write a title inside a sentence; a word in capitals such as HTTP stays as it is."""
    is_word = len(title) > 1 and title[0].isupper() and title[1].islower()
    return title[0].lower() + title[1:] if is_word else title
