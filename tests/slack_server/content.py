"""What a message may hold: its text, blocks and metadata, checked as Slack does."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.slack_server.blockkit import block_problems, markdown_chars
from tests.slack_server.errors import Refused
from tests.slack_server.limits import MARKDOWN_CHARS, METADATA_BYTES, TEXT_CHARS, UPDATE_BYTES
from tests.slack_server.state import Json

ENTITY = re.compile(r"&(?:amp|lt|gt);")
TOKEN = re.compile(r"<[^<>]+>")


@dataclass(frozen=True, slots=True)
class Content:
    """A message's content. `metadata` is None where the call says nothing about it."""

    text: str = ""
    blocks: list[Json] = field(default_factory=list)
    metadata: Json | None = None
    has_blocks: bool = False
    """Whether the call gave blocks, be they none."""


def decoded(value: Any, error: str) -> Any:
    """Return a value that forms carry as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as broken:
        raise Refused(error) from broken


def read_content(
    args: Mapping[str, Any],
    *,
    files: Collection[str],
    refused_blocks: Collection[str],
    is_update: bool = False,
    may_be_empty: bool = False,
) -> Content:
    """Return the content of a post or an edit, or refuse it."""
    text = str(args.get("text") or "")
    blocks = decoded(args.get("blocks"), "invalid_blocks_format")
    markdown = str(args.get("markdown_text") or "")
    if markdown:
        if text or blocks:
            raise Refused("markdown_text_conflict")
        if len(markdown) > MARKDOWN_CHARS:
            raise Refused("msg_too_long")
        blocks = [{"type": "markdown", "text": markdown}]
    if blocks is not None and not isinstance(blocks, list):
        raise Refused("invalid_blocks_format")
    if not text.strip() and not blocks and not args.get("attachments") and not may_be_empty:
        raise Refused("no_text")
    if (is_update and sent_bytes(text) > UPDATE_BYTES) or len(text) > TEXT_CHARS:
        raise Refused("msg_too_long")
    if blocks:
        problems = block_problems(blocks, files=files, refused=refused_blocks)
        if problems:
            raise Refused("invalid_blocks", problems)
        if markdown_chars(blocks) > MARKDOWN_CHARS:
            raise Refused("msg_blocks_too_long")
    metadata = read_metadata(args.get("metadata"))
    return Content(text, list(blocks or []), metadata, has_blocks=blocks is not None)


def read_metadata(value: Any) -> Json | None:
    """Return a message's metadata; an empty object takes it away."""
    metadata = decoded(value, "invalid_metadata_format")
    if metadata is None or metadata == "":
        return None
    if metadata == {}:
        return {}
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_payload"), dict):
        raise Refused("invalid_metadata_format")
    if not isinstance(metadata.get("event_type"), str) or not metadata["event_type"]:
        raise Refused("invalid_metadata_format")
    if len(json.dumps(metadata).encode()) > METADATA_BYTES:
        raise Refused("metadata_too_large")
    return metadata


def sent_bytes(text: str) -> int:
    """Return the size that chat.update counts: UTF-8, with bare `& < >` escaped."""
    bare = TOKEN.sub(lambda found: "x" * len(found.group().encode()), ENTITY.sub(_plain, text))
    escaped = bare.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return len(escaped.encode())


def _plain(found: re.Match[str]) -> str:
    return "x" * len(found.group())
