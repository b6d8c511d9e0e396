"""How many calls Slack takes: per minute by method and workspace, and posts per channel."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from tests.slack_server.limits import WINDOW_S, Limits


@dataclass(slots=True)
class Budgets:
    """Windows of a minute and buckets of posts. A call that is refused uses nothing up."""

    limits: Limits
    _windows: dict[tuple[str, str], deque[float]] = field(default_factory=dict)
    _posts: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def take(self, team: str, method: str, most: int, channel: str, now: float) -> int:
        """Count a call and return 0; or return the whole seconds to wait, and count nothing.

        `channel` is where the call posts; empty when it does not post.
        """
        if not self.limits.has_budgets:
            return 0
        window = self._windows.setdefault((team, method), deque())
        while window and window[0] <= now - WINDOW_S:
            window.popleft()
        if len(window) >= most:
            return max(1, math.ceil(window[0] + WINDOW_S - now))
        if channel:
            tokens, at = self._posts.get((team, channel), (float(self.limits.post_burst), now))
            refilled = tokens + (now - at) / self.limits.post_every_s
            tokens = min(float(self.limits.post_burst), refilled)
            if tokens < 1.0:
                return max(1, math.ceil((1.0 - tokens) * self.limits.post_every_s))
            self._posts[team, channel] = (tokens - 1.0, now)
        window.append(now)
        return 0
