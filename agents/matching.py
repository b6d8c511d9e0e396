"""Which workflow a typed goal fits, decided by its words: no model is asked.

The score of a workflow is made of three things that can each be said to a person: keywords that
occur in the text, likeness to one of its examples, and inputs that were recognised. A workflow
whose name is written out is meant by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agents.domain import JsonObject
from config.nearest import nearest
from config.specs import InputSpec, WorkflowSpec

THRESHOLD = 0.5
NAME_WEIGHT = 0.6
KEYWORD_WEIGHT = 0.35
MAX_KEYWORDS_COUNTED = 2
EXAMPLE_WEIGHT = 0.7
INPUT_WEIGHT = 0.2
TIE = 0.05
"""Two workflows closer than this are equally good: the person chooses."""
MAX_CHOICES = 8
MAX_SHOWN_VALUES = 12
MAX_EXPLAINED = 4
MIN_STEM_CHARS = 3
PLACEHOLDER = "\x00"

_WORD = re.compile(r"[a-z0-9]+(?:['_.-][a-z0-9]+)*")
_PAIR = re.compile(r"\b([a-z][a-z0-9_-]{0,47})\s*[=:]\s*(\"[^\"]*\"|'[^']*'|[^\s,;]+)", re.I)
_SUFFIXES = ("ures", "ure", "ings", "ing", "edly", "ed", "ers", "er", "ies", "es", "s", "e", "y")
_STOP = frozenset(
    _WORD.findall(
        "a an and are as at be been by can could did do does for from get has have how i in is it "
        "its just me my now of on or our please so that the their them there they this to us was "
        "we were what when where which who will with would you your"
    )
)
_YES = frozenset({"true", "yes", "on", "1"})
_NO = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True, slots=True)
class Match:
    """The workflow a goal fits; `why` says so in a sentence."""

    workflow: WorkflowSpec
    inputs: JsonObject
    why: str


@dataclass(frozen=True, slots=True)
class NoMatch:
    """Nothing fits, or something is missing: a sentence, and goals that would do."""

    sentence: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recognised:
    """The inputs found in a text, and what was wrong with those that were meant."""

    values: JsonObject = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    """The words that were inputs, so that they do not count as anything else."""


def match(
    text: str, workflows: Mapping[str, WorkflowSpec], services: Iterable[str]
) -> Match | NoMatch:
    """Return the workflow that fits the text best, or what to say when none does."""
    known = sorted(services)
    scored = sorted(
        (
            _score(text, workflow, recognise(text, workflow, known))
            for workflow in workflows.values()
        ),
        key=lambda scored: -scored.score,
    )
    fitting = [one for one in scored if one.score >= THRESHOLD]
    if not fitting:
        return NoMatch(_nothing_fits(workflows), choices(workflows))
    best = fitting[0]
    rivals = [one for one in fitting if best.score - one.score < TIE]
    if len(rivals) > 1:
        names = " or ".join(f"{one.workflow.title} ({one.workflow.name})" for one in rivals)
        return NoMatch(
            f"That could mean {names}: say it again with the name of the one you mean.",
            tuple(f"{one.workflow.name}: {text}" for one in rivals[:MAX_CHOICES]),
        )
    return _with_inputs(best, known)


def choices(workflows: Mapping[str, WorkflowSpec]) -> tuple[str, ...]:
    """Return goals that would fit: an example of each workflow, else its name."""
    return tuple(
        (workflow.match.examples or (workflow.name,))[0] for workflow in workflows.values()
    )[:MAX_CHOICES]


@dataclass(frozen=True, slots=True)
class _Scored:
    workflow: WorkflowSpec
    found: Recognised
    score: float
    why: str


def _score(text: str, workflow: WorkflowSpec, found: Recognised) -> _Scored:
    said = _stems(text, found.words)
    score, reasons = 0.0, []
    if _is_named(text, workflow.name):
        score += NAME_WEIGHT
        reasons.append("you named it")
    keywords = [word for word in workflow.match.keywords if _stems(word) and _stems(word) <= said]
    if keywords:
        score += KEYWORD_WEIGHT * min(len(keywords), MAX_KEYWORDS_COUNTED)
        quoted = ", ".join(f"“{word}”" for word in keywords[:MAX_EXPLAINED])
        reasons.append(f"you said {quoted}")
    likeness, example = _likest(said, workflow, found)
    if likeness > 0:
        score += EXAMPLE_WEIGHT * likeness
        if likeness >= THRESHOLD:
            reasons.append(f"it is like “{example}”")
    recognised = [name for name in found.values if found.words]
    if recognised and score:
        score += INPUT_WEIGHT
        reasons.append(", ".join(f"{name} is {found.values[name]}" for name in recognised))
    return _Scored(workflow, found, score, "; ".join(reasons))


def _is_named(text: str, name: str) -> bool:
    spoken = re.split(r"[_-]", name)
    return (
        re.search(rf"(?<![\w-]){'[ _-]'.join(map(re.escape, spoken))}(?![\w-])", text, re.I)
        is not None
    )


def _likest(said: frozenset[str], workflow: WorkflowSpec, found: Recognised) -> tuple[float, str]:
    """Return how like the text is to the most similar example (0 to 1), and that example.

    Values of inputs count as the same word: "why is checkout failing" is like "why is x failing".
    """
    best, likest = 0.0, ""
    mine = said | ({PLACEHOLDER} if found.words else frozenset())
    for example in workflow.match.examples:
        theirs = _stems(example)
        values = theirs - said
        if found.words and values:
            # What only the example says may be its own value of the input: count it as one.
            theirs = (theirs & said) | frozenset(sorted(values)[1:]) | {PLACEHOLDER}
        union = len(mine | theirs)
        likeness = len(mine & theirs) / union if union else 0.0
        # A service's name alone is like every example that has one, and says nothing.
        if likeness > best and mine & theirs != {PLACEHOLDER}:
            best, likest = likeness, example
    return best, likest


def _with_inputs(best: _Scored, services: list[str]) -> Match | NoMatch:
    workflow, found = best.workflow, best.found
    inputs: JsonObject = {}
    for name, spec in workflow.inputs.items():
        if name in found.values:
            inputs[name] = found.values[name]
        elif spec.default is not None:
            inputs[name] = spec.default
        elif spec.required:
            return _missing(workflow, name, spec, found, services)
    if found.problems:
        return NoMatch(f"{workflow.title}: {' '.join(found.problems)}", choices_of(workflow))
    why = f"{workflow.title}, because {best.why}." if best.why else f"{workflow.title}."
    return Match(workflow, inputs, why)


def _missing(
    workflow: WorkflowSpec, name: str, spec: InputSpec, found: Recognised, services: list[str]
) -> NoMatch:
    allowed = allowed_values(spec, services)
    if found.problems:
        return NoMatch(f"{workflow.title}: {' '.join(found.problems)}", choices_of(workflow))
    what = f" ({spec.description})" if spec.description else ""
    if allowed is None:
        ask = f'add it as {name}="…".'
    elif allowed:
        ask = f"say one of {_listed(allowed)}."
    else:
        ask = "no service is configured yet; add it to services.yaml."
    sentence = f"{workflow.title} fits, but it needs to know the {name}{what}: {ask}"
    return NoMatch(sentence, choices_of(workflow))


def choices_of(workflow: WorkflowSpec) -> tuple[str, ...]:
    """Return the goals that one workflow is made for."""
    return workflow.match.examples[:MAX_CHOICES]


def allowed_values(spec: InputSpec, services: Iterable[str]) -> tuple[str, ...] | None:
    """Return what the input may be; None when it may be anything."""
    if spec.one_of is None:
        return None
    return tuple(sorted(services)) if spec.one_of == "services" else spec.one_of


def recognise(text: str, workflow: WorkflowSpec, services: Iterable[str]) -> Recognised:
    """Find the workflow's inputs in the text: `name=value`, else the words they may be."""
    values: JsonObject = {}
    problems: list[str] = []
    words: set[str] = set()
    known = tuple(services)
    given = {name.lower(): value.strip("\"'") for name, value in _PAIR.findall(text)}
    for name, spec in workflow.inputs.items():
        allowed = allowed_values(spec, known)
        if name in given:
            value, problem = convert(given[name], spec, allowed)
            words |= _words(given[name])
            if problem:
                problems.append(f"{name}: {problem}")
            else:
                values[name] = value
        elif allowed is not None:
            found = mentioned(text, allowed)
            if found:
                values[name] = convert(found[0], spec, None)[0]
                words |= {word for one in found for word in _words(one)}
            elif spec.required and spec.default is None and (typo := _typo(text, allowed)):
                problems.append(f"There is no {name} “{typo[0]}”; did you mean {typo[1]}?")
    return Recognised(values, tuple(problems), frozenset(words))


def mentioned(text: str, names: Iterable[str]) -> list[str]:
    """Return the names that stand in the text as whole words, in order of their place."""
    places: list[tuple[int, int, str]] = []
    for name in names:
        parts = [re.escape(part) for part in re.split(r"[\s_-]+", name) if part]
        if not parts:
            continue
        found = re.search(rf"(?<![\w-]){'[ _-]?'.join(parts)}(?![\w-])", text, re.I)
        if found:
            places.append((found.start(), -len(name), name))
    return [name for _, _, name in sorted(places)]


def convert(
    text: str, spec: InputSpec, allowed: Iterable[str] | None
) -> tuple[str | float | int | bool | None, str]:
    """Return the value of the input's type, or what is wrong with the text."""
    if allowed is not None:
        options = tuple(allowed)
        by_lower = {option.lower(): option for option in options}
        if text.lower() not in by_lower:
            close = nearest(text, options)
            meant = "no service is configured yet; add it to services.yaml."
            if options:
                meant = f"did you mean {close}?" if close else f"say one of {_listed(options)}."
            return None, f"“{text}” is not known; {meant}"
        text = by_lower[text.lower()]
    lower = text.strip().lower()
    match spec.type:
        case "string":
            return text, ""
        case "boolean":
            if lower in _YES | _NO:
                return lower in _YES, ""
            return None, f"“{text}” is neither yes nor no."
        case "integer":
            if re.fullmatch(r"[+-]?[0-9]{1,15}", lower):
                return int(lower), ""
            return None, f"“{text}” is not a whole number."
        case "number":
            if re.fullmatch(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?", lower):
                return float(lower), ""
            return None, f"“{text}” is not a number."


def _typo(text: str, allowed: Iterable[str]) -> tuple[str, str] | None:
    options = tuple(allowed)
    for word in _WORD.findall(text.lower()):
        if len(word) > MIN_STEM_CHARS and word not in _STOP:
            close = nearest(word, options)
            if close and abs(len(close) - len(word)) <= 2:
                return word, close
    return None


def _listed(values: Iterable[str]) -> str:
    names = tuple(values)
    more = len(names) - MAX_SHOWN_VALUES
    return ", ".join(names[:MAX_SHOWN_VALUES]) + (f" and {more} more" if more > 0 else "")


def _nothing_fits(workflows: Mapping[str, WorkflowSpec]) -> str:
    if not workflows:
        return "No workflow is configured, so there is nothing to run; add one to workflows/."
    able = "; ".join(
        f"{workflow.title} — {workflow.description.rstrip('.')}"
        for workflow in list(workflows.values())[:MAX_CHOICES]
    )
    return f"None of the workflows fits that. What can be done: {able}."


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower())) | {text.lower()}


def _stems(text: str, without: frozenset[str] = frozenset()) -> frozenset[str]:
    return frozenset(
        stem(word)
        for word in _WORD.findall(text.lower())
        if word not in _STOP and word not in without
    )


def stem(word: str) -> str:
    """Return a word without its commonest English endings: failing, failed, failure -> fail."""
    word = word.removesuffix("'s").replace("'", "")
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= MIN_STEM_CHARS:
            word = word[: -len(suffix)]
            break
    if len(word) > MIN_STEM_CHARS and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word
