"""The secrets that a process was given: what must never be stored, shown, logged or reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from config.settings import Settings, variables

PROVIDER_KEYS = ("_API_KEY", "_ACCESS_KEY", "_SECRET_KEY")
"""How the environment variables end in which providers' keys stand."""


def known_secrets(
    settings: Settings,
    token_variables: Iterable[str],
    environ: Mapping[str, str],
    *redis_urls: str,
) -> tuple[str, ...]:
    """Return each secret among the settings, the tokens the catalogue names, and Redis addresses.

    An address in use may be another than the settings', that of an embedded Redis for one.
    """
    given = variables(environ)
    found = {given[name] for name in token_variables if name in given}
    # Model libraries take their providers' keys from the environment by themselves.
    found |= {value for name, value in given.items() if name.endswith(PROVIDER_KEYS)}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            found.add(value.get_secret_value())
    for url in (settings.redis_url or "", *redis_urls):
        password = urlsplit(url).password or ""
        found |= {password, unquote(password)}
    return tuple(sorted(found - {""}))
