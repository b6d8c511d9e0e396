"""What the console's forms do. With htmx they answer with a notice, without it with a page."""

from __future__ import annotations

from urllib.parse import quote

import structlog
from fastapi import APIRouter, Depends
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bot.desk import MAX_GOAL_CHARS, Outcome
from bot.web.api.outcomes import status_of
from bot.web.console.frame import THEME_COOKIE, THEMES, page
from bot.web.console.render import Templates, dom
from bot.web.console.screens import Parts
from bot.web.context import Web
from bot.web.errors import WebError
from bot.web.guards import Guards
from bot.web.limits import MAX_IDEMPOTENCY_KEY_CHARS
from bot.web.sessions import Session
from bot.web.show.fields import FieldError, read
from bot.web.talk import say

log = structlog.get_logger(__name__)

ARGUMENT = "arg:"
YEAR_S = 365 * 86_400


def router(web: Web, templates: Templates) -> APIRouter:
    """Return the routes that the console's forms are sent to."""
    routes = APIRouter(include_in_schema=False)
    guards = Guards(web)
    desk = web.deps.desk

    @routes.post("/goals")
    async def goal(request: Request, session: Session = Depends(guards.form)) -> Response:
        form = await request.form()
        text, channel = _text(form, "text").strip(), _text(form, "channel")
        if not text:
            return await _say(request, Outcome("invalid", "Type what you want to know or do."))
        if len(text) > MAX_GOAL_CHARS:
            sentence = f"A goal has at most {MAX_GOAL_CHARS} characters; this has {len(text)}."
            return await _say(request, Outcome("invalid", sentence))
        key = f"form:{_text(form, 'key')[:MAX_IDEMPOTENCY_KEY_CHARS]}"
        submitted = await desk.goal(text, session.person, channel, key)
        run = await desk.run(submitted.run_id) if submitted.run_id else None
        if run is None:
            choices = submitted.choices
            return await _say(request, Outcome("invalid", submitted.sentence), choices=choices)
        thread = run.goal.thread
        address = f"/c/{quote(thread.channel, safe='')}/{quote(thread.id, safe='')}"
        return _go(request, address)

    @routes.post("/threads/{thread_id}/messages")
    async def message(
        thread_id: str, request: Request, session: Session = Depends(guards.form)
    ) -> Response:
        form = await request.form()
        text = _text(form, "text")
        key = f"form:{_text(form, 'key')[:MAX_IDEMPOTENCY_KEY_CHARS]}"
        said = await say(web, thread_id, text, session.person, key)
        if not _is_htmx(request):
            return await _say(request, said.outcome, said.choices)
        html = Parts(web, templates, session).render(
            "_reply.html",
            thread_id=thread_id,
            outcome=said.outcome,
            choices=said.choices,
            text=text if said.outcome.is_refusal else "",
        )
        target = f"#reply-{dom(thread_id)}"
        return HTMLResponse(html, headers={"HX-Retarget": target, "HX-Reswap": "outerHTML"})

    @routes.post("/approvals/{approval_id}")
    async def decide(
        approval_id: str, request: Request, session: Session = Depends(guards.form)
    ) -> Response:
        form = await request.form()
        if _text(form, "action") == "edit":
            return await edit(approval_id, request, session)
        kept = set(form.getlist("keep"))
        outcome = await desk.decide(
            approval_id,
            session.person,
            is_approval=_text(form, "action") == "approve",
            revision=_number(form, "revision"),
            digest=_text(form, "digest"),
            comment=_text(form, "comment"),
            dropped=[str(key) for key in form.getlist("call") if key not in kept],
        )
        return await _say(request, outcome)

    async def edit(approval_id: str, request: Request, session: Session) -> Response:
        form = await request.form()
        call_key = _text(form, "call_key")
        run_id = await desk.store.run_of_approval(approval_id)
        run = await desk.run(run_id) if run_id else None
        view = desk.present.run_view(run) if run else None
        approvals = view.approvals if view else ()
        approval = next((item for item in approvals if item.id == approval_id), None)
        call = next(
            (item for item in (approval.calls if approval else ()) if item.key == call_key), None
        )
        if approval is None or call is None:
            return await _say(request, Outcome("unknown", "There is no such call to edit."))
        filled = {
            name.removeprefix(ARGUMENT): str(value)
            for name, value in form.items()
            if name.startswith(ARGUMENT)
        }
        try:
            args = read(call.schema, call.args, filled)
        except FieldError as error:
            outcome = Outcome("invalid", "Mend what is marked.", run, {error.field: str(error)})
        else:
            outcome = await desk.edit(
                approval_id,
                session.person,
                revision=_number(form, "revision"),
                call_key=call_key,
                args=args,
            )
        if not outcome.field_errors or not _is_htmx(request):
            return await _say(request, outcome)
        html = Parts(web, templates, session).render(
            "_edit_form.html",
            approval=approval,
            call=call,
            filled=filled,
            errors=outcome.field_errors,
            revision=_number(form, "revision"),
        )
        target = f"#edit-{dom(approval_id + call_key)}"
        return HTMLResponse(html, headers={"HX-Retarget": target, "HX-Reswap": "outerHTML"})

    @routes.post("/questions/{question_id}")
    async def answer(
        question_id: str, request: Request, session: Session = Depends(guards.form)
    ) -> Response:
        form = await request.form()
        outcome = await desk.answer_question(
            question_id, session.person, _text(form, "answer"), _text(form, "run_id")
        )
        return await _say(request, outcome)

    @routes.post("/runs/{run_id}/stop")
    async def stop(
        run_id: str, request: Request, session: Session = Depends(guards.form)
    ) -> Response:
        form = await request.form()
        return await _say(request, await desk.stop(run_id, session.person, _text(form, "reason")))

    @routes.post("/incidents/{incident_id}/acknowledge")
    async def acknowledge(
        incident_id: str, request: Request, session: Session = Depends(guards.form)
    ) -> Response:
        return await _say(request, await desk.acknowledge(incident_id, session.person))

    @routes.post("/incidents/{incident_id}/take-over")
    async def take_over(
        incident_id: str, request: Request, session: Session = Depends(guards.form)
    ) -> Response:
        return await _say(request, await desk.take_over(incident_id, session.person))

    @routes.post("/incidents/{incident_id}/mute")
    async def mute(
        incident_id: str, request: Request, session: Session = Depends(guards.form)
    ) -> Response:
        return await _say(request, await desk.mute(incident_id, session.person))

    @routes.post("/theme")
    async def theme(request: Request, session: Session = Depends(guards.form)) -> Response:
        form = await request.form()
        chosen = _text(form, "theme")
        response = RedirectResponse(local_path(_text(form, "next")), 303)
        if chosen in THEMES:
            response.set_cookie(
                THEME_COOKIE,
                chosen,
                max_age=YEAR_S,
                samesite="lax",
                httponly=True,
                secure=web.deps.is_https,
            )
        return response

    async def _say(
        request: Request, outcome: Outcome, choices: tuple[str, ...] = ()
    ) -> HTMLResponse:
        """Answer a click with its outcome."""
        if _is_htmx(request):
            return HTMLResponse(templates.render("_notice.html", outcome=outcome, choices=choices))
        session = await guards.page(request)
        return await page(
            request,
            Parts(web, templates, session),
            "outcome.html",
            status_code=status_of(outcome),
            title="Outcome",
            nav="",
            outcome=outcome,
            choices=choices,
            back=local_path(request.headers.get("referer", ""), request.url.netloc),
        )

    return routes


def local_path(address: str, host: str = "") -> str:
    """Return the address if it leads to a page of ours, else the start page."""
    if host and "://" in address:
        scheme_less = address.split("://", 1)[1]
        address = scheme_less.removeprefix(host) if scheme_less.startswith(f"{host}/") else "/"
    is_ours = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if is_ours and address.isprintable() else "/"


def _go(request: Request, address: str) -> Response:
    if _is_htmx(request):
        return Response(status_code=204, headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)


def _is_htmx(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def _number(form: FormData, name: str) -> int:
    text = _text(form, name)
    if not text.isdecimal() or len(text) > 9:
        raise WebError(400, f"{name} has to be a number.", "Reload the page and send it again.")
    return int(text)
