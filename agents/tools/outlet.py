"""Outlet: send a message to a place outside that people declared in services.yaml.

Only the declared address is called, redirects are not followed, and the body is what the
declaration makes of the arguments. Where the outlet honours the idempotency key, a request whose
answer was lost is sent again with the same key; elsewhere nobody knows whether it took effect.
"""

from __future__ import annotations

import asyncio
import http.client
from http import HTTPStatus

from pydantic import BaseModel, Field, JsonValue

from agents.fetch import NotSentError, Response, post_json
from agents.tool import (
    Effect,
    Limits,
    OutcomeUnknownError,
    Tool,
    ToolContext,
    ToolFailed,
    ToolResult,
    ToolRetry,
    TransientError,
)
from agents.wording import one_line
from config.expressions import ExpressionError, fill
from config.specs import OutletSpec

TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 64 * 1024
MAX_SHOWN_CHARS = 500
PAUSES_S = (0.3, 1.0)
"""Before each repetition of a request whose answer was lost, where the outlet honours the key."""
MAX_TEXT_CHARS = 10_000
MAX_FIELDS = 20
KEY_HEADER = "Idempotency-Key"
NOT_NOW = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Statuses that say that nothing was done yet."""


class SendArguments(BaseModel, extra="forbid"):
    """What to send where; `category` and `confidence` are for policies to decide on."""

    outlet: str = Field(min_length=1, max_length=48)
    text: str = Field(min_length=1, max_length=MAX_TEXT_CHARS)
    subject: str = Field("", max_length=200)
    to: str = Field("", max_length=320, description="Whom it goes to, where the outlet asks.")
    fields: dict[str, str] = Field(default_factory=dict, max_length=MAX_FIELDS)
    category: str = Field("", max_length=60, description="What it is about, such as billing.")
    confidence: float | None = Field(
        None, ge=0, le=1, description="How sure the writer is that it is right."
    )


class SendOutput(BaseModel):
    """What the outlet answered; `line` says it in one line of the evidence."""

    outlet: str
    status: int
    answer: str = ""
    line: str = ""


class ListArguments(BaseModel, extra="forbid"):
    """Nothing: all of them are listed."""


class OutletRecord(BaseModel):
    """One outlet; `line` is its line of the evidence."""

    name: str
    description: str = ""
    line: str = ""


class ListOutput(BaseModel):
    """The outlets that are declared."""

    names: list[str] = Field(default_factory=list)
    outlets: list[OutletRecord] = Field(default_factory=list)


async def list_outlets(context: ToolContext, args: ListArguments) -> ToolResult:
    """Return the declared outlets: a plan sends nothing where there is no place to send it."""
    outlets = [
        OutletRecord(
            name=name,
            description=spec.description,
            line=f"{name}: {spec.description}".rstrip(": "),
        )
        for name, spec in sorted(context.world.outlets.items())
    ]
    output = ListOutput(names=[one.name for one in outlets], outlets=outlets)
    head = f"{len(outlets)} outlets are declared"
    return ToolResult(output, "\n".join([head, *(one.line for one in outlets)]), "Outlets")


async def send(context: ToolContext, args: SendArguments) -> ToolResult:
    """Send the message, once per idempotency key where the outlet honours it."""
    spec = outlet(context, args.outlet)
    response = await _post(args.outlet, spec, body(spec, args), _headers(context, spec))
    answer = one_line(response.body.decode("utf-8", "replace"), MAX_SHOWN_CHARS)
    whom = f" for {args.to}" if args.to else ""
    line = f"sent to {args.outlet}{whom}: it answered {response.status}"
    output = SendOutput(outlet=args.outlet, status=response.status, answer=answer, line=line)
    return ToolResult(output, f"{line}\n{answer}".rstrip(), f"Sent to {args.outlet}")


def outlet(context: ToolContext, name: str) -> OutletSpec:
    """Return the declared outlet; ToolRetry names the known ones."""
    found = context.world.outlets.get(name)
    if found is None:
        known = ", ".join(sorted(context.world.outlets)) or "none; add one to services.yaml"
        raise ToolRetry(f"there is no outlet {name!r}; known outlets: {known}", "outlet")
    return found


def body(spec: OutletSpec, args: SendArguments) -> JsonValue:
    """Return the declared body with its expressions filled from the arguments."""
    given = args.model_dump(mode="json")
    if not spec.body:
        return {name: given[name] for name in ("to", "subject", "text", "fields") if given[name]}
    try:
        return fill(dict(spec.body), {"args": given})
    except ExpressionError as error:
        raise ToolFailed(f"{error}; correct the outlet's body in services.yaml") from error


def check(context: ToolContext, args: SendArguments) -> None:
    """Raise ToolRetry unless the outlet is declared and takes these arguments."""
    try:
        body(outlet(context, args.outlet), args)
    except ToolFailed as error:
        raise ToolRetry(str(error)) from error


def honours_key(context: ToolContext, args: SendArguments) -> bool:
    """Return whether the outlet acts once per idempotency key."""
    return outlet(context, args.outlet).honours_key


def secrets(context: ToolContext, args: SendArguments) -> tuple[str, ...]:
    """Return the variable with the outlet's token, if it has one."""
    variable = outlet(context, args.outlet).token_env
    return (variable,) if variable else ()


def _headers(context: ToolContext, spec: OutletSpec) -> dict[str, str]:
    headers = {KEY_HEADER: context.idempotency_key} if context.idempotency_key else {}
    if spec.token_env:
        headers["Authorization"] = f"Bearer {context.secret(spec.token_env)}"
    return headers


async def _post(name: str, spec: OutletSpec, value: JsonValue, headers: dict[str, str]) -> Response:
    may_repeat = spec.honours_key and KEY_HEADER in headers
    for pause_s in (*(PAUSES_S if may_repeat else ()), None):
        try:
            response = _once(name, spec, value, headers)
        except OutcomeUnknownError:
            if pause_s is None:
                raise
        else:
            return response
        await asyncio.sleep(pause_s)
    raise AssertionError  # The last round returns or raises.


def _once(name: str, spec: OutletSpec, value: JsonValue, headers: dict[str, str]) -> Response:
    """Send one request; its error says whether it can have taken effect."""
    try:
        response = post_json(
            spec.url, value, headers, timeout_s=TIMEOUT_S, max_bytes=MAX_ANSWER_BYTES
        )
    except NotSentError as error:
        raise TransientError(f"{name} cannot be reached ({error}); nothing was sent") from error
    except (OSError, http.client.HTTPException) as error:
        raise OutcomeUnknownError(
            f"{name} did not answer ({error}); whether it took the message is unknown, so look"
        ) from error
    except ValueError as error:  # http.client refuses a header with control characters
        raise ToolFailed(f"{name} was not called: its token or address is malformed") from error
    status = response.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return response
    said = one_line(response.body.decode("utf-8", "replace"), MAX_SHOWN_CHARS)
    if status in NOT_NOW:
        raise TransientError(f"{name} answered {status}, not now: {said}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise OutcomeUnknownError(
            f"{name} answered {status}; whether it took the message is unknown, so look: {said}"
        )
    if status < HTTPStatus.BAD_REQUEST:
        raise ToolFailed(
            f"{name} answered {status} and points elsewhere; give the final url in services.yaml"
        )
    raise ToolFailed(f"{name} refused the message with {status}: {said}")


TOOLS = (
    Tool(
        name="outlet.send",
        description="Send a message to a configured place outside: a status page, a mail system.",
        arguments=SendArguments,
        output=SendOutput,
        run=send,
        effect=Effect.WRITES,
        honours_key=honours_key,
        check=check,
        secrets=secrets,
        limits=Limits(timeout_s=45.0),
    ),
    Tool(
        name="outlet.list",
        description="List the places outside that messages may be sent to.",
        arguments=ListArguments,
        output=ListOutput,
        run=list_outlets,
        is_confined=False,  # It reads nothing but its own context.
    ),
)
