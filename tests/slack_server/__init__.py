"""A strict Slack on loopback: the real slack-bolt and slack-sdk talk to it, and it says no.

    with SlackServer() as server:
        server.user("U1", "Alice", groups=["S-oncall"])
        server.channel("C1", "incidents", members=["U1"])
        client = AsyncWebClient(server.bot_token, base_url=server.api_url, retry_handlers=[])
        ...                                      # an AsyncApp connects with server.app_token
        said = server.mention("C1", "U1", "@muster why is checkout slow?")
        await server.settled()
        card = server.thread(said)[-1]
        server.click(card, "approve", "U1")
        assert server.refused == [] and server.rate_limited == []

What tests do is in `Controls` (one workspace; `server.team("T2")` gives another) and
`SlackServer` (faults, sockets, time, calls). What they return are copies: look again to see what
changed. A click on an older copy is a stale click. `CannotError`: no person could do that.

What is checked, by file, and in brackets where each rule comes from. FACTS is the project's notes
on Slack; "live" is what others saw of the service; the rest are pages of Slack's documentation.

- `api.py`: not_authed, invalid_auth, token_revoked, not_allowed_token_type, unknown_method
  [reference/methods]; a budget told as 429 with Retry-After, or as 200 [FACTS].
- `rules.py`: scopes by method, kind of channel and event, with needed, provided and
  x-oauth-scopes [reference/scopes]; methods that read only forms [reference/methods].
- `budgets.py`: calls a minute by tier, method and workspace; posts 1/s in a channel with a burst
  of 3 [apis/web-api/rate-limits, FACTS].
- `ask.py`: channel_not_found (also for private channels), not_in_channel, is_archived, pages and
  cursors [chat.postMessage, conversations.*]; thread_not_found, invalid_thread_ts [live].
- `content.py`: no_text, 40,000 characters of a post, metadata's form and size
  [chat.postMessage, messaging/message-metadata]; an edit's text of 4,000 bytes after escaping,
  12,000 characters of markdown in all blocks together [live].
- `methods/chat.py`: message_not_found, cant_update_message, edit_window_closed, is_inactive,
  cant_delete_message; an edit with only text takes the blocks away, metadata stays
  [chat.update, chat.delete, FACTS]; user_not_in_channel [chat.postEphemeral].
- `blockkit/`: kinds by surface, fields, lengths, counts and ids, in Slack's sentences with JSON
  pointers [reference/block-kit]; texts of only spaces, pictures at private addresses [live];
  a plan's 40 tasks and 8 KB [FACTS; Slack itself takes 50 tasks], one id for each task.
- `blockkit/views.py`, `methods/views.py`: 100 blocks, titles 24, private_metadata 3,000, no plan,
  markdown or thumbs; hash_conflict, three in a stack, unique external_id [reference/views].
- `tickets.py`: trigger_id 3 s and once, response_url 5 uses in 30 min [FACTS]; an install's code
  once in 10 min [authentication/installing-with-oauth].
- `answers.py`: errors name inputs of the modal, views in answers are valid
  [interactivity/handling-user-interaction]. `filling.py`: what Slack's client lets people enter.
- `methods/files.py`, `hooks.py`: announce, send every byte, complete once; a download without the
  token is a page and no error [messaging/working-with-files].
- `methods/agents.py`: four statuses, a thread's root, title 200, cleared after 1 h, the warning
  without agent_session_stopped [agents.sessions.setStatus, FACTS].
- `happenings.py`: a mention fires two events, own messages come back [FACTS, reference/events].
- `sockets.py`, `deliveries.py`: an address opens one socket, hello, 10 at most, each envelope to
  one, 3 s, retries with number and reason, 0 at first [apis/events-api/using-socket-mode, FACTS].
- `http_events.py`: signature v0, 3 s, retry headers, X-Slack-No-Retry [apis/events-api].
- `manifest.py`: an app's manifest [reference/app-manifest].

Times and tiers are fields of `Limits`; waits between retries are short by default (Slack: 0, 1
and 5 minutes). `advance` lets time pass for budgets and for what expires; `skew` puts Slack's
clock ahead or behind. More lenient than Slack: tier 1 takes 20 calls a minute. Stricter: blocks
that Muster has no use for are unknown (video, call, file, card, carousel, workflow buttons).
"""

from tests.slack_server.controls import Controls
from tests.slack_server.core import BOT_SCOPES, EVENTS
from tests.slack_server.deliveries import Attempt, Delivery
from tests.slack_server.faults import Fault, cutting, failing, limiting, refusing, slowing
from tests.slack_server.filling import CannotError
from tests.slack_server.ledger import Call, Refusal
from tests.slack_server.limits import Limits
from tests.slack_server.manifest import manifest_problems
from tests.slack_server.server import SlackServer
from tests.slack_server.state import File, Message, Session, User, View

__all__ = [
    "BOT_SCOPES",
    "EVENTS",
    "Attempt",
    "Call",
    "CannotError",
    "Controls",
    "Delivery",
    "Fault",
    "File",
    "Limits",
    "Message",
    "Refusal",
    "Session",
    "SlackServer",
    "User",
    "View",
    "cutting",
    "failing",
    "limiting",
    "manifest_problems",
    "refusing",
    "slowing",
]
