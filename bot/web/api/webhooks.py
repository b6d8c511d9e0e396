"""`POST /webhooks/{source}`: where alert systems and forms deliver."""

from __future__ import annotations

import hmac
import math
from time import perf_counter

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from bot.forms import Delivery, FormBusyError
from bot.sources.base import BadDeliveryError
from bot.web.context import Web
from bot.web.errors import WebError
from bot.web.guards import bearer, is_local
from bot.web.limits import MAX_IDEMPOTENCY_KEY_CHARS
from config.specs import SourceSpec
from jobs.store import StoreUnavailableError

log = structlog.get_logger(__name__)

UNKNOWN_SOURCE = "unknown"
FORM = "form"
_RESPONSES: dict[int | str, dict[str, str]] = {
    200: {"description": "Everything in it was known already."},
    202: {"description": "Accepted and stored."},
    400: {"description": "Not JSON, or not of the source's shape."},
    401: {"description": "The token is missing or wrong."},
    404: {"description": "No such source."},
    413: {"description": "Larger than 1 MiB."},
    503: {"description": "Redis cannot be reached, or a form is full: deliver again."},
}


def router(web: Web) -> APIRouter:
    """Return the routes of the alert sources."""
    routes = APIRouter(tags=["webhooks"])

    @routes.post("/webhooks/{source}", responses=_RESPONSES)
    async def deliver(source: str, request: Request) -> JSONResponse:
        """Take in one delivery: alerts, or a form that starts a run."""
        began = perf_counter()
        spec = web.deps.sources.get(source)
        label = source if spec else UNKNOWN_SOURCE
        try:
            if spec is None:
                raise WebError(
                    404,
                    f"There is no alert source {source[:80]}.",
                    f"Known sources: {', '.join(sorted(web.deps.sources)) or 'none'}.",
                )
            _authorise(web, spec, request)
            if spec.kind == FORM:
                answer = await _take_form(web, source, request)
            else:
                answer = await _deliver(web, source, await request.body())
        except WebError as error:
            _refused(web, label, request, error)
            raise
        except StoreUnavailableError:
            web.metrics.refused.labels(label, "unavailable").inc()
            raise
        finally:
            web.metrics.webhook_seconds.labels(label).observe(perf_counter() - began)
        return answer

    return routes


def _authorise(web: Web, spec: SourceSpec, request: Request) -> None:
    given = bearer(request)
    wanted = web.deps.environ.get(spec.token_env, "") if spec.token_env else ""
    if wanted:
        if given is None or not hmac.compare_digest(given.encode(), wanted.encode()):
            raise WebError(
                401,
                "The bearer token is missing or wrong.",
                f"Send Authorization: Bearer <the value of {spec.token_env}>.",
                {"WWW-Authenticate": "Bearer"},
            )
    elif not is_local(request):
        raise WebError(
            401,
            "Without a token this source accepts deliveries from this machine only.",
            f"Set {spec.token_env or 'token_env of the source in sources.yaml'}.",
            {"WWW-Authenticate": "Bearer"},
        )


async def _deliver(web: Web, source: str, body: bytes) -> JSONResponse:
    try:
        receipt = await web.deps.desk.deliver(source, body)
    except BadDeliveryError as error:
        raise WebError(400, str(error), "Nothing of this delivery was stored.") from error
    web.metrics.alerts.labels(source, "accepted").inc(receipt.accepted)
    web.metrics.alerts.labels(source, "repeated").inc(receipt.repeated)
    return JSONResponse(
        {
            "accepted": receipt.accepted,
            "repeated": receipt.repeated,
            "incidents": list(receipt.incident_ids),
        },
        status_code=202 if receipt.accepted else 200,
    )


async def _take_form(web: Web, source: str, request: Request) -> JSONResponse:
    delivery = Delivery(
        body=await request.body(),
        content_type=request.headers.get("content-type", ""),
        key=request.headers.get("idempotency-key", "")[:MAX_IDEMPOTENCY_KEY_CHARS],
    )
    try:
        ticket = await web.deps.desk.take_form(source, delivery)
    except BadDeliveryError as error:
        raise WebError(400, str(error), "Nothing of this delivery was stored.") from error
    except FormBusyError as busy:
        retry = {"Retry-After": str(math.ceil(busy.retry_after_s))}
        raise WebError(503, busy.sentence, "Nothing was stored: deliver it again.", retry) from busy
    outcome = "repeated" if ticket.is_repeat else "accepted"
    web.metrics.alerts.labels(source, outcome).inc()
    body = {"accepted": int(not ticket.is_repeat), "repeated": int(ticket.is_repeat)}
    return JSONResponse(
        {**body, "run_id": ticket.run_id}, status_code=200 if ticket.is_repeat else 202
    )


def _refused(web: Web, label: str, request: Request, error: WebError) -> None:
    reasons = {400: "malformed", 401: "unauthorised", 404: "unknown_source", 503: "busy"}
    reason = reasons.get(error.status, "other")
    web.metrics.refused.labels(label, reason).inc()
    client = request.client.host if request.client else ""
    log.warning(
        "delivery_refused", source=label, reason=reason, client=client, sentence=error.error[:300]
    )
