"""Takes secrets out of text before anything is stored, logged or posted.

Every pattern runs in linear time on hostile text: each one starts at a place that cannot
overlap with its own repetition (a look-behind on the repeated class), or has bounded parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from pydantic import JsonValue

MASK = "[redacted]"
MIN_SECRET_CHARS = 6
"""Shorter known secrets would blank out ordinary words."""

_KEYS = (
    r"password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|secret[_-]?key"
    r"|private[_-]?key|client[_-]?secret|credentials?|session[_-]?id|cookie"
)

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A block that was cut off before its END line is taken out up to the end of the text.
    (
        re.compile(
            r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:[^-]|-(?!----END ))*(?:-----END [A-Z ]{0,32}PRIVATE KEY(?: BLOCK)?-----)?"
        ),
        MASK,
    ),
    (re.compile(r"(?i)\b(bearer|basic)(\s{1,3})[A-Za-z0-9._~+/=-]{8,}"), rf"\1\2{MASK}"),
    (re.compile(r"(?<![\w.-])eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"), MASK),
    (re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}(?![A-Za-z0-9])"), MASK),
    (re.compile(r"(?<![A-Za-z0-9-])xox[abeprs]-[A-Za-z0-9-]{8,}"), MASK),
    (re.compile(r"(?<![A-Za-z0-9-])xapp-[A-Za-z0-9-]{8,}"), MASK),
    (re.compile(r"https://hooks\.slack\.com/services/[A-Za-z0-9/_-]{8,}"), MASK),
    (re.compile(r"(?<=/api/webhooks/)[0-9]{10,25}/[\w-]{20,}"), MASK),
    (re.compile(r"(?<![\w-])(?:gh[oprsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,})"), MASK),
    (re.compile(r"(?<![\w-])glpat-[\w-]{16,}"), MASK),
    (re.compile(r"(?<![\w-])sk-[\w-]{20,}"), MASK),
    # Discord: user id in base64, a short part, a long part.
    (re.compile(r"(?<![\w.-])[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,40}(?![\w.-])"), MASK),
    (re.compile(r"(?<=://)[^\s/:@]*:[^\s/@]+@"), f"{MASK}@"),
    (
        re.compile(
            rf"(?i)({_KEYS})([\"']?[ \t]{{0,3}}[:=][ \t]{{0,3}})"
            r"(?:(\")[^\"\n]+\"|(')[^'\n]+'|[^\s,;&\"'<>{}()]+)"
        ),
        rf"\1\2\3\4{MASK}\3\4",
    ),
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without anything that looks like a secret, nor any of `secrets`."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= MIN_SECRET_CHARS and secret not in MASK:
            text = text.replace(secret, MASK)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def redact_json(value: JsonValue, secrets: Iterable[str] = ()) -> JsonValue:
    """Return the JSON value with every string in it redacted."""
    known = tuple(secrets)
    if isinstance(value, str):
        return redact(value, known)
    if isinstance(value, list):
        return [redact_json(item, known) for item in value]
    if isinstance(value, dict):
        return {key: redact_json(item, known) for key, item in value.items()}
    return value


def forms(secret: str) -> tuple[str, ...]:
    """Return a secret as it may appear: as it is and, of an address, the password inside it."""
    try:
        password = urlsplit(secret).password or ""
    except ValueError:
        password = ""
    return tuple(form for form in dict.fromkeys((secret, password, unquote(password))) if form)
