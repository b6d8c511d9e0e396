"""Collects what is wrong, in Slack's words, with the JSON pointer of where."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "0.0.0.0", "::1"})


class Problems:
    """The sentences of one payload. The `want_*` methods return the value when it is usable."""

    def __init__(self, files: Collection[str] = (), refused: Collection[str] = ()) -> None:
        self.files = files
        """Ids of the files that images may name."""
        self.refused = refused
        """Kinds of blocks that this workspace does not know."""
        self.found: list[str] = []

    def add(self, at: str, sentence: str) -> None:
        """Note a problem at a pointer."""
        self.found.append(f"{sentence} [json-pointer:{at}]")

    def only(self, node: Json, at: str, keys: Iterable[str]) -> None:
        """Refuse keys that Slack does not know there."""
        for key in node.keys() - {"type", *keys}:
            self.add(at, f"invalid additional property: {key}")

    def has(self, node: Json, at: str, key: str) -> bool:
        """Whether a required key is there; notes it when not."""
        if node.get(key) is None:
            self.add(at, f"missing required field: {key}")
            return False
        return True

    def want_object(self, node: Any, at: str) -> Json | None:
        """Return the node when it is an object."""
        if isinstance(node, dict):
            return node
        self.add(at, "must provide an object")
        return None

    def want_items(self, node: Any, at: str, most: int, least: int = 1) -> list[Any]:
        """Return the items of an array of the right length, else what there is of it."""
        if not isinstance(node, list):
            self.add(at, "must provide an array")
            return []
        if len(node) > most:
            self.add(at, f"no more than {most} items allowed")
        if len(node) < least:
            self.add(at, f"must have at least {least} item" + ("s" if least > 1 else ""))
        return node

    def string(self, node: Json, at: str, key: str, most: int, *, required: bool = False) -> None:
        """Check a string field's presence and length."""
        value = node.get(key)
        if value is None:
            if required:
                self.add(at, f"missing required field: {key}")
            return
        if not isinstance(value, str):
            self.add(f"{at}/{key}", "must be a string")
        else:
            self.length(value, f"{at}/{key}", most)

    def length(self, value: str, at: str, most: int) -> None:
        """Check that a text is there and no longer than allowed."""
        if not value.strip():
            self.add(at, "must be more than 0 characters")
        if len(value) > most:
            self.add(at, f"must be less than {most + 1} characters")

    def flag(self, node: Json, at: str, *keys: str) -> None:
        """Check that fields are booleans."""
        for key in keys:
            if node.get(key) is not None and not isinstance(node[key], bool):
                self.add(f"{at}/{key}", "must be a boolean")

    def one_of(self, node: Json, at: str, key: str, allowed: Collection[str]) -> None:
        """Check that a field, where given, has one of the allowed values."""
        if node.get(key) is not None and node[key] not in allowed:
            self.add(f"{at}/{key}", "must be a valid enum value")

    def whole(self, node: Json, at: str, key: str, least: int, most: int) -> None:
        """Check that a field, where given, is a whole number in a range."""
        value = node.get(key)
        if value is None:
            return
        if not isinstance(value, int) or isinstance(value, bool):
            self.add(f"{at}/{key}", "must be an integer")
        elif not least <= value <= most:
            self.add(f"{at}/{key}", f"must be between {least} and {most}")

    def url(self, node: Json, at: str, key: str, *, required: bool = False) -> None:
        """Check that a field is an address that a browser could open."""
        self.string(node, at, key, 3_000, required=required)
        value = node.get(key)
        if isinstance(value, str) and not _is_web(value):
            self.add(f"{at}/{key}", f"invalid url: {value}")

    def picture(self, node: Json, at: str) -> None:
        """Check where a picture comes from: an address Slack can reach, or an uploaded file."""
        if node.get("slack_file") is not None:
            self._uploaded(node["slack_file"], f"{at}/slack_file")
            return
        self.url(node, at, "image_url", required=True)
        value = node.get("image_url")
        if isinstance(value, str) and _is_web(value) and not _is_public(value):
            self.add(f"{at}/image_url", "downloading image failed")

    def _uploaded(self, node: Any, at: str) -> None:
        file = self.want_object(node, at)
        if file is None:
            return
        self.only(file, at, ("id", "url"))
        known = file.get("id") or str(file.get("url", "")).split("/")[-2:-1]
        name = known if isinstance(known, str) else "".join(known)
        if name not in self.files:
            self.add(at, "invalid slack file")


def _is_web(value: str) -> bool:
    parts = urlsplit(value)
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _is_public(value: str) -> bool:
    host = urlsplit(value).hostname or ""
    return host not in LOCAL_HOSTS and "." in host
