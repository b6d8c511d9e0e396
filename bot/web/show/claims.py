"""Claims with the evidence they share said once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agents.domain import Cite, Claim


@dataclass(frozen=True, slots=True)
class Group:
    """Claims that rest on the same words."""

    claims: tuple[Claim, ...]
    cites: tuple[Cite, ...]

    @property
    def text(self) -> str:
        """The claims in one line, be they sentences or parts of one."""
        texts = [claim.text for claim in self.claims]
        return " ".join(t if t.endswith((".", "?", "!")) else f"{t};" for t in texts[:-1]) + (
            f" {texts[-1]}" if texts[:-1] else texts[-1]
        )

    @property
    def is_struck(self) -> bool:
        """Whether the evidence does not bear it out."""
        return any(claim.is_struck for claim in self.claims)


def grouped(claims: Iterable[Claim]) -> list[Group]:
    """Return the claims by what they rest on, in order of first mention.

    A claim that is struck, or that cites nothing, stands alone.
    """
    groups: list[Group] = []
    places: dict[tuple[Cite, ...], int] = {}
    for claim in claims:
        cites = tuple(dict.fromkeys(claim.cites))
        is_shared = bool(cites) and not claim.is_struck
        if is_shared and cites in places:
            known = groups[places[cites]]
            groups[places[cites]] = Group((*known.claims, claim), cites)
            continue
        if is_shared:
            places[cites] = len(groups)
        groups.append(Group((claim,), cites))
    return groups
