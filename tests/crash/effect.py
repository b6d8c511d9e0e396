"""The command that stands for a change outside: each time it acts, it appends one line.

`effect.py <file> <action> keep|act <seconds>`: with `keep` it acts once per
MUSTER_IDEMPOTENCY_KEY, with `act` every time; then it takes its time. It imports nothing of
Muster, and starts in a hundredth of a second.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time


def main() -> int:
    """Act, unless this key was acted on before."""
    path, action, mode, rest_s = sys.argv[1:5]
    line = f"{action} {os.environ.get('MUSTER_IDEMPOTENCY_KEY', '')}\n".encode()
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    size = os.fstat(descriptor).st_size
    if mode == "act" or line not in os.pread(descriptor, size, 0).splitlines(keepends=True):
        os.write(descriptor, line)
    time.sleep(float(rest_s))
    return 0


if __name__ == "__main__":
    sys.exit(main())
