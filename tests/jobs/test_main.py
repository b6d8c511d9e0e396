"""The workers' own program: what it says when it cannot start."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import assembly
from jobs.__main__ import main


def test_faulty_catalogue_is_told_and_not_thrown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The person sees the file and the line, and no traceback."""
    (tmp_path / "policies.yaml").write_text("policies: 3\n", encoding="utf-8")
    monkeypatch.setenv("MUSTER_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("MUSTER_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setattr(assembly, "configure_logging", lambda *_, **__: None)

    assert main() == 2
    assert "policies.yaml:1" in capsys.readouterr().err
