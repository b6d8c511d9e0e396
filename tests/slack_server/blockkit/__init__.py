"""What Slack accepts as blocks and views, each problem worded and pointed at as Slack does."""

from tests.slack_server.blockkit.blocks import block_problems, markdown_chars
from tests.slack_server.blockkit.views import view_problems

__all__ = ["block_problems", "markdown_chars", "view_problems"]
