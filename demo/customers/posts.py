"""What was published or mailed: kept on disk before anybody is told, once per idempotency key."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


class KeyReusedError(Exception):
    """The idempotency key was already used for another message."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"the key {key!r} was already used for another message; use a new key")


@dataclass(frozen=True, slots=True)
class Post:
    """One message that was taken."""

    id: str
    time: float
    key: str
    message: dict[str, str]


class Posts:
    """Messages in the order they were taken, one line each."""

    def __init__(self, path: Path, prefix: str) -> None:
        self._path = path
        self._prefix = prefix
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._posts = [Post(**json.loads(line)) for line in lines]

    def all(self) -> tuple[Post, ...]:
        """Return what was taken, oldest first."""
        return tuple(self._posts)

    def add(self, message: Mapping[str, str], key: str, now: float) -> tuple[Post, bool]:
        """Return the post and whether it is new; without a key every message is new."""
        for post in self._posts:
            if key and post.key == key:
                if post.message != message:
                    raise KeyReusedError(key)
                return post, False
        post = Post(f"{self._prefix}-{len(self._posts) + 1}", now, key, dict(message))
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(post)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._posts.append(post)
        return post, True
