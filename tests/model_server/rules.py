"""Ways to make a rule: a function from a call to its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import cycle as forever

from tests.model_server.asked import Asked
from tests.model_server.replies import Reply, failure

Rule = Callable[[Asked], Reply]
Condition = Callable[[Asked], bool]


def scripted(replies: Iterable[Reply]) -> Rule:
    """Give the replies in order; whoever calls once more is told so with status 400."""
    left = iter(replies)

    def answer(asked: Asked) -> Reply:
        return next(left, failure(400, f"the script has no reply for call {asked.number + 1}"))

    return answer


def cycle(*replies: Reply) -> Rule:
    """Give the replies in order, again and again."""
    left = forever(replies)
    return lambda _: next(left)


def after(first: Sequence[Reply], then: Rule) -> Rule:
    """Give the first replies in order, then follow the rule."""
    left = iter(first)

    def answer(asked: Asked) -> Reply:
        found = next(left, None)
        return then(asked) if found is None else found

    return answer


def by_rules(*rules: tuple[Condition, Reply | Rule]) -> Rule:
    """Follow the first rule whose condition holds; none is status 400 with the last words."""

    def answer(asked: Asked) -> Reply:
        for holds, found in rules:
            if holds(asked):
                return found if isinstance(found, Reply) else found(asked)
        return failure(400, f"no rule fits: {asked.text[:200]}")

    return answer
