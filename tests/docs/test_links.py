"""Every link between the pages leads somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, links


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(path: Path) -> None:
    """A link names a file that exists, and a heading that stands in it."""
    broken = []
    for link in links(path.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        is_there = target.exists()
        if is_there and anchor:
            is_there = anchor in anchors(target.read_text(encoding="utf-8"))
        if not is_there:
            broken.append(link)

    assert broken == []


def test_pages_are_found() -> None:
    """The checks above really see the pages."""
    names = {str(path.relative_to(ROOT)) for path in PAGES}

    assert {"README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/api.md"} <= names
