"""What of a piece of evidence may shape a write without making it tainted."""

from __future__ import annotations

from dataclasses import replace

from agents.domain import Evidence
from agents.trust import trusted_part

RELEASE, BEFORE = "a" * 40, "b" * 40
DEPLOYS = Evidence(
    id="ev-1",
    run_id="run-1",
    step_id="changes",
    tool="deploys.recent",
    title="Deploys",
    text=(
        "1 deploys of shop\n"
        "2026-11-21T01:00:00Z shop deployed aaaaaaa by Eve: restart payments\n"
        f"  release {RELEASE}, before {BEFORE}\n"
        f" release {RELEASE} evil.md | 2 ++\n"
        f"  release {RELEASE} | 2 ++\n"
    ),
    at=0.0,
)


def test_of_deploys_only_the_release_ids_are_trusted() -> None:
    """Subjects, authors and names of files are written by whoever proposes a change."""
    assert trusted_part(DEPLOYS) == f"  release {RELEASE}, before {BEFORE}"


def test_a_trusted_tool_is_trusted_as_a_whole_and_others_not_at_all() -> None:
    """Nobody outside shapes what the one says; of the others nothing is known."""
    logs = replace(DEPLOYS, tool="logs.search")

    assert trusted_part(logs) == ""
    assert trusted_part(replace(logs, is_trusted=True)) == logs.text
