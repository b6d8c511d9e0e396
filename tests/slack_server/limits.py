"""Slack's numbers; those that a test may want to change are fields of `Limits`."""

from __future__ import annotations

from dataclasses import dataclass

BLOCKS_A_MESSAGE = 50
BLOCKS_A_VIEW = 100
ID_CHARS = 255
TEXT_CHARS = 40_000
"""chat.postMessage refuses more; 4,000 is only advice there."""
UPDATE_BYTES = 4_000
"""chat.update refuses more, in bytes, after `& < >` are escaped."""
MARKDOWN_CHARS = 12_000
"""Of one markdown block, and of all those of a message together."""
METADATA_BYTES = 16_000
PRIVATE_METADATA_CHARS = 3_000
VIEW_TITLE_CHARS = 24
VIEW_BYTES = 250_000
VIEW_STACK = 3
PLAN_TASKS = 40
PLAN_BYTES = 8_000
SESSION_TITLE_CHARS = 200
SESSION_PROCESSING_S = 3_600.0
TRIGGER_S = 3.0
RESPONSE_URL_S = 1_800.0
RESPONSE_URL_USES = 5
CODE_S = 600.0
TICKET_S = 30.0
SOCKETS = 10
PAGE_MAX = 1_000
WINDOW_S = 60.0
SIGNATURE_WINDOW_S = 300.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of one server. The retry times are short: Slack waits 0, 1 and 5 minutes."""

    ack_s: float = 3.0
    retries_s: tuple[float, ...] = (0.05, 0.3, 1.0)
    has_budgets: bool = True
    post_every_s: float = 1.0
    post_burst: int = 3
    posts_a_minute: int = 300
    tier_1: int = 20
    """Slack promises 1 a minute; its own clients reconnect more often than that."""
    tier_2: int = 20
    tier_3: int = 50
    tier_4: int = 100
    special: int = 600
    ping_every_s: float = 5.0
