"""Programs that some tests need and that a machine may lack.

A person without them runs the other tests. Where MUSTER_CI is set everything was installed, so a
missing program is a failure there: a story must not vanish unnoticed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

CI_VARIABLE = "MUSTER_CI"


def need_program(*names: str) -> Path:
    """Return the first of these programs that is installed, or skip the test with a reason."""
    for name in names:
        if found := shutil.which(name):
            return Path(found)
    reason = f"{' or '.join(names)} is not installed; .ci/run installs it"
    if os.environ.get(CI_VARIABLE):
        pytest.fail(f"{CI_VARIABLE} is set, and {reason}", pytrace=False)
    pytest.skip(reason)
