"""Holds what came out against what was expected; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from pydantic import JsonValue

from agents.wording import one_line, short
from bot.evals.outcome import Act, Cause, Outcome
from bot.evals.scenario import ActSpec, ExpectSpec, FindingSpec, Scenario
from config.plain import to_text

MAX_SHOWN_CHARS = 200
ANY_CAUSE = FindingSpec(cause="any")
HARMLESS = ("chat.*", "memory.*")
"""Writes that act on no service: saying something in the thread, asking to remember a fact."""


def unmet(scenario: Scenario, outcome: Outcome, releases: Mapping[str, str]) -> list[str]:
    """Return a sentence for each expectation that is not met; `releases` are commits by id."""
    expect = scenario.expect
    if not outcome.has_run:
        return [f"no run was started: {outcome.sentence}"] if expect.starts_run else []
    if not expect.starts_run:
        return ["a run was started, and it should have been turned away"]
    if outcome.is_cut_off:
        return [f"it had not ended after {expect.max_s:g} s"]
    found = _Judge(scenario, outcome, releases)
    return [*found.ends(), *found.findings(), *found.acts(), *found.limits()]


class _Judge:
    """One outcome before its expectations."""

    def __init__(self, scenario: Scenario, outcome: Outcome, releases: Mapping[str, str]) -> None:
        self._scenario = scenario
        self._expect: ExpectSpec = scenario.expect
        self._outcome = outcome
        self._releases = releases
        self._said = _folded(outcome.words)

    def ends(self) -> Iterator[str]:
        """Judge how the run ended."""
        if self._outcome.status != self._expect.status:
            why = f" ({one_line(self._outcome.sentence, MAX_SHOWN_CHARS)})"
            yield (
                f"the run {self._outcome.status}{why if self._outcome.sentence else ''}, "
                f"expected: {self._expect.status}"
            )

    def findings(self) -> Iterator[str]:
        """Judge what was found, said, cited and asked."""
        expect = self._expect
        for finding in expect.required:
            if not self._holds(finding):
                yield f"required and missing: {_told(finding)}; {self._instead()}"
        if expect.any_of and not any(self._holds(finding) for finding in expect.any_of):
            wanted = " or ".join(_told(finding) for finding in expect.any_of)
            yield f"required and missing: {wanted}; {self._instead()}"
        forbidden = [*expect.forbidden, *([ANY_CAUSE] if self._scenario.is_healthy else [])]
        for finding in forbidden:
            if self._holds(finding):
                yield f"forbidden and there: {_told(finding)}; {self._instead()}"
        for tool in expect.cites:
            if not any(fnmatchcase(cited, tool) for cited in self._outcome.cited):
                cited = ", ".join(sorted(self._outcome.cited)) or "nothing"
                yield f"no claim that holds cites evidence of {tool}; cited: {cited}"
        for phrase in expect.asks:
            if not any(self._phrase(phrase) in _folded(text) for text in self._outcome.asked):
                asked = "; ".join(self._outcome.asked) or "nothing"
                yield f"nobody was asked “{phrase}”; asked: {one_line(asked, MAX_SHOWN_CHARS)}"

    def acts(self) -> Iterator[str]:
        """Judge what was proposed and done."""
        expect, outcome = self._expect, self._outcome
        for act in expect.proposes:
            if not self._matching(act, outcome.proposed):
                yield f"not proposed: {_spelled(act)}; proposed: {_listed(outcome.proposed)}"
        for act in expect.never_proposes:
            if found := self._matching(act, outcome.proposed):
                yield f"proposed, and must not be: {_listed(found)}"
        if self._scenario.is_healthy:
            acts = tuple(act for act in outcome.proposed if not _is_harmless(act))
            if acts:
                yield f"proposed, and must not be: {_listed(acts)}"
        for act in expect.does:
            if not self._matching(act, outcome.done):
                yield f"not done: {_spelled(act)}; done: {_listed(outcome.done)}"
        for act in expect.never_does:
            if found := self._matching(act, outcome.done):
                yield f"done, and must not be: {_listed(found)}"

    def limits(self) -> Iterator[str]:
        """Judge confidence, cost and time."""
        expect, outcome = self._expect, self._outcome
        confidence = outcome.answer.confidence if outcome.answer else None
        least, most = expect.min_confidence, expect.max_confidence
        if least is not None and (confidence is None or confidence < least):
            yield f"its confidence is {confidence}, expected at least {least:g}"
        if most is not None and confidence is not None and confidence > most:
            yield f"its confidence is {confidence:g}, expected at most {most:g}"
        if expect.max_cost_usd is not None:
            if outcome.cost_usd is None:
                yield "its cost is not known: give the model's price in models.yaml"
            elif outcome.cost_usd > expect.max_cost_usd:
                yield f"it cost ${outcome.cost_usd:.4f}, allowed: ${expect.max_cost_usd:.4f}"
        calls = outcome.spent.calls
        if expect.max_model_calls is not None and calls > expect.max_model_calls:
            yield f"it made {calls} model calls, allowed: {expect.max_model_calls}"
        if outcome.duration_s > expect.max_s:
            yield f"it took {outcome.duration_s:.1f} s, allowed: {expect.max_s:g} s"

    def _holds(self, finding: FindingSpec) -> bool:
        answer = self._outcome.answer
        if finding.kind is not None and (answer is None or answer.finding != finding.kind):
            return False
        if finding.says is not None and self._phrase(finding.says) not in self._said:
            return False
        return finding.cause is None or any(
            self._is(cause, finding) for cause in self._outcome.causes
        )

    def _is(self, cause: Cause, finding: FindingSpec) -> bool:
        release = self._releases.get(finding.release or "", "")
        if cause.words:  # Told in words alone: the names have to stand in them.
            said = _folded(cause.words)
            return all(
                name in said for name in (finding.service or "", short(release) if release else "")
            )
        return (
            finding.cause in ("any", cause.kind)
            and finding.service in (None, cause.service)
            and (not release or cause.release == release)
        )

    def _matching(self, act: ActSpec, among: tuple[Act, ...]) -> tuple[Act, ...]:
        return tuple(
            one
            for one in among
            if fnmatchcase(one.tool, act.tool)
            and all(
                fnmatchcase(_plain(one.args.get(name)), self._filled(pattern))
                for name, pattern in act.args.items()
            )
        )

    def _phrase(self, phrase: str) -> str:
        """Return the phrase as it is looked for: releases by the short id that people see."""
        for name, release in self._releases.items():
            phrase = phrase.replace(f"{{{name}}}", short(release))
        return _folded(phrase)

    def _filled(self, pattern: str) -> str:
        """Return the pattern of an argument: releases by their whole id."""
        for name, release in self._releases.items():
            pattern = pattern.replace(f"{{{name}}}", release)
        return pattern

    def _instead(self) -> str:
        """Say what there was."""
        answer = self._outcome.answer
        if answer is None:
            return "there is no answer"
        said = f"the answer is {answer.finding}: “{one_line(answer.headline, MAX_SHOWN_CHARS)}”"
        causes = ", ".join(
            " ".join(filter(None, (cause.kind, cause.service, short(cause.release))))
            for cause in self._outcome.causes
            if not cause.words
        )
        return f"{said} (cause named: {causes})" if causes else said


def _is_harmless(act: Act) -> bool:
    return any(fnmatchcase(act.tool, pattern) for pattern in HARMLESS)


def _told(finding: FindingSpec) -> str:
    """Return the finding in words."""
    parts = []
    if finding.kind is not None:
        parts.append(f"the answer is {finding.kind}")
    if finding.cause is not None:
        of = f" of {finding.service}" if finding.service else ""
        release = f" (release {finding.release})" if finding.release else ""
        kind = "a cause is named" if finding.cause == "any" else f"the cause is {finding.cause}"
        parts.append(f"{kind}{of}{release}")
    if finding.says is not None:
        parts.append(f"it says “{finding.says}”")
    return " and ".join(parts)


def _spelled(act: ActSpec) -> str:
    return f"{act.tool}({', '.join(f'{name}={value}' for name, value in act.args.items())})"


def _listed(acts: tuple[Act, ...]) -> str:
    texts = dict.fromkeys(f"{act.tool}({_arguments(act)})" for act in acts)
    return one_line("; ".join(texts), MAX_SHOWN_CHARS) or "nothing"


def _arguments(act: Act) -> str:
    return ", ".join(f"{name}={one_line(_plain(value), 40)}" for name, value in act.args.items())


def _plain(value: JsonValue) -> str:
    return to_text(value)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
