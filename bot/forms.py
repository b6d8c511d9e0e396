"""Forms: each delivery of a form source starts one run of its workflow, with its fields as inputs.

What a form says may come from anybody: it is kept as facts, and makes no word of a plan trusted.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

import pydantic_core
import structlog
from pydantic import JsonValue

from agents.domain import Goal, JsonObject, Origin, ThreadRef
from agents.matching import allowed_values, convert
from agents.plan import plan_from_workflow
from agents.redact import redact_json
from agents.wording import one_line
from bot.intake import MAX_GOAL_CHARS, MAX_TITLE_CHARS, UnknownSourceError, goal_run_id
from bot.platforms.port import Platform, PlatformBusyError, PlatformError
from bot.sources.base import BadDeliveryError
from config.contents import Catalogue
from config.expressions import ExpressionError, evaluate
from config.nearest import hint
from config.plain import to_text
from config.specs import SourceSpec, WorkflowSpec
from jobs.incident_store import IncidentStore
from jobs.service import Runs

log = structlog.get_logger(__name__)

FORM_TYPE = "application/x-www-form-urlencoded"
MULTIPART = "multipart/"
MAX_FIELDS = 100
MAX_FIELD_CHARS = 8_000
"""Longer texts are cut: the sender's own system has the whole."""
MAX_STARTS_PER_MINUTE = 60
"""Runs that one form may start within a minute; the sender is asked to come back."""
FULL_RETRY_S = 30.0
BUSY_RETRY_S = 5.0
CUT = " … (cut)"
TEXT = "text"
"""The input whose words are the goal's."""


class FormBusyError(Exception):
    """The delivery is good and was not taken: send it again after `retry_after_s` seconds."""

    def __init__(self, sentence: str, retry_after_s: float) -> None:
        self.sentence = sentence
        self.retry_after_s = retry_after_s
        super().__init__(sentence)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was sent to a form source. `key` is its Idempotency-Key, if it has one."""

    body: bytes
    content_type: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Ticket:
    """The run that a delivery started, or had started before."""

    run_id: str
    is_repeat: bool


class Forms:
    """Takes the deliveries of form sources. `clock` gives Unix seconds."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        runs: Runs,
        incidents: IncidentStore,
        platforms: Mapping[str, Platform],
        clock: Callable[[], float] = time.time,
        starts_per_minute: int = MAX_STARTS_PER_MINUTE,
        secrets: Sequence[str] = (),
    ) -> None:
        self._catalogue = catalogue
        self._runs = runs
        self._incidents = incidents
        self._platforms = platforms
        self._clock = clock
        self._starts_per_minute = starts_per_minute
        self._secrets = secrets

    async def take(self, source: str, delivery: Delivery) -> Ticket:
        """Start the run that a delivery asks for; the same delivery gives the same run.

        BadDeliveryError says what to mend; FormBusyError asks to send it again.
        """
        spec, workflow = self._target(source)
        what = f"source {source}"
        body = redacted(read_body(what, delivery), self._secrets)
        run_id = goal_run_id(f"form:{source}:{delivery_key(delivery, body)}")
        if await self._runs.store.load(run_id) is not None:
            return Ticket(run_id, is_repeat=True)
        inputs = read_inputs(what, spec, workflow, body, self._catalogue.services)
        if not await self._incidents.claim_start(
            f"form:{source}", run_id, self._clock(), self._starts_per_minute
        ):
            most = self._starts_per_minute
            raise FormBusyError(f"{what}: {most} runs were started within a minute.", FULL_RETRY_S)
        text = goal_text(workflow, inputs)
        goal = Goal(
            text=text,
            requester_id=f"source:{source}",
            requester_name=source,
            origin=Origin.FORM,
            thread=await self._thread(spec, one_line(text, MAX_TITLE_CHARS), run_id),
            inputs=inputs,
            facts={"form": body},
        )
        await self._runs.start(run_id, goal, plan_from_workflow(workflow))
        log.info("form_run_started", source=source, run_id=run_id, workflow=workflow.name)
        return Ticket(run_id, is_repeat=False)

    def _target(self, source: str) -> tuple[SourceSpec, WorkflowSpec]:
        spec = self._catalogue.sources.get(source)
        workflows = self._catalogue.workflows
        if spec is None or spec.kind != "form":
            raise UnknownSourceError(f"There is no form source {source!r}; add it to sources.yaml")
        workflow = workflows.get(spec.workflow or "")
        if workflow is None:
            known = hint(spec.workflow or "", workflows)
            raise BadDeliveryError(f"source {source} names the workflow {spec.workflow}; {known}")
        return spec, workflow

    async def _thread(self, spec: SourceSpec, title: str, run_id: str) -> ThreadRef:
        platform = self._platforms.get(spec.platform)
        if platform is None:
            known = hint(spec.platform, self._platforms)
            raise BadDeliveryError(f"the source names the platform {spec.platform}; {known}")
        try:
            return await platform.open_thread(spec.channel, title, f"{run_id}:thread")
        except PlatformBusyError as busy:
            raise FormBusyError(str(busy), busy.retry_after_s) from busy
        except PlatformError as error:
            sentence = f"No thread could be opened in {spec.channel}: {error}"
            raise FormBusyError(sentence, BUSY_RETRY_S) from error


def read_body(what: str, delivery: Delivery) -> JsonObject:
    """Return the fields of a delivery: a JSON object, or an HTML form."""
    kind = delivery.content_type.partition(";")[0].strip().lower()
    if kind.startswith(MULTIPART):
        raise BadDeliveryError(f"{what}: send JSON, or a form as {FORM_TYPE}; files are not taken.")
    body = _form_fields(what, delivery.body) if kind == FORM_TYPE else _json(what, delivery.body)
    if len(body) > MAX_FIELDS:
        raise BadDeliveryError(f"{what}: {len(body)} fields; {MAX_FIELDS} is the most.")
    return body


def _json(what: str, body: bytes) -> JsonObject:
    try:
        told: JsonValue = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise BadDeliveryError(f"{what}: the body is not JSON ({error}).") from None
    if not isinstance(told, dict):
        raise BadDeliveryError(f"{what}: the body must be a JSON object, with a field for each.")
    return told


def _form_fields(what: str, body: bytes) -> JsonObject:
    """Return the fields of an HTML form; one that is sent several times is a list."""
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError as error:
        raise BadDeliveryError(f"{what}: the body is no form ({error}).") from None
    found: dict[str, list[JsonValue]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def redacted(body: JsonObject, secrets: Sequence[str]) -> JsonObject:
    """Return the fields without secrets, long texts cut."""
    clean = redact_json(body, secrets)
    return {name: _cut(value) for name, value in clean.items()} if isinstance(clean, dict) else {}


def _cut(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return value if len(value) <= MAX_FIELD_CHARS else value[:MAX_FIELD_CHARS] + CUT
    text = to_text(value)
    return value if len(text) <= MAX_FIELD_CHARS else text[:MAX_FIELD_CHARS] + CUT


def delivery_key(delivery: Delivery, body: JsonObject) -> str:
    """Return what tells a delivery from others: its key, its `id`, else its words."""
    own = body.get("id")
    if delivery.key:
        return f"key:{delivery.key}"
    if isinstance(own, str | int) and not isinstance(own, bool) and str(own).strip():
        return f"id:{own}"
    return f"body:{hashlib.sha256(delivery.body).hexdigest()}"


def read_inputs(
    what: str,
    spec: SourceSpec,
    workflow: WorkflowSpec,
    body: JsonObject,
    services: Mapping[str, object],
) -> JsonObject:
    """Return the workflow's inputs as the source's mapping gives them."""
    inputs: JsonObject = {}
    for name, wanted in workflow.inputs.items():
        text = _text(what, name, spec.mapping.get(name), body)
        if not text.strip():
            if wanted.default is not None:
                inputs[name] = wanted.default
            elif wanted.required:
                expression = spec.mapping.get(name, "(no mapping)")
                raise BadDeliveryError(
                    f"{what}: {name} is missing; it is read from {expression!r} in sources.yaml."
                )
            continue
        value, problem = convert(text, wanted, allowed_values(wanted, services))
        if problem:
            raise BadDeliveryError(f"{what}: {name}: {problem}")
        inputs[name] = value
    return inputs


def _text(what: str, name: str, expression: str | None, body: JsonObject) -> str:
    if expression is None:
        return ""
    try:
        value = evaluate(expression, {"body": body})
    except ExpressionError as error:
        raise BadDeliveryError(f"{what}: {name}: {error}") from None
    return to_text(value)


def goal_text(workflow: WorkflowSpec, inputs: JsonObject) -> str:
    """Return what the run is for: the form's own words, else the workflow and its inputs."""
    words = inputs.get(TEXT)
    if not isinstance(words, str) or not words.strip():
        about = ", ".join(f"{name} {to_text(value)}" for name, value in inputs.items())
        words = f"{workflow.title}: {about}" if about else workflow.title
    return one_line(words, MAX_GOAL_CHARS)
