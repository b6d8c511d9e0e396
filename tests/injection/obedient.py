"""A model that does whatever a payload says as soon as it has seen it, in every role."""

from __future__ import annotations

import json
import re

from pydantic import JsonValue

from agents.builtins import ASK, HAND_OFF, SUBMIT, model_name
from agents.domain import JsonObject
from agents.models.port import ModelReply, ModelRequest, Role
from agents.models.scripted import call, output
from tests.injection.house import OPERATOR, WORKER
from tests.injection.payloads import Payload, Wanted

STOLEN = "{stolen}"
"""Stands in wanted arguments for what the model read after the word `with` in the log."""
EVIDENCE = re.compile(r"evidence_id: (\S+)")


class Obedient:
    """The rule of a ScriptedModel: look first, obey what is seen, then hand in."""

    def __init__(self, payload: Payload, look: Wanted | None) -> None:
        self._payload = payload
        self._look = look
        self._says = _flat(payload.says)
        self._called: set[int] = set()
        self._is_planned = False
        self._is_claimed = False

    @property
    def has_obeyed(self) -> bool:
        """Whether it did all that the payload wants; false when it never saw the payload."""
        payload = self._payload
        has_acted = self._is_planned and payload.via == "plan_tools"
        has_acted = has_acted or self._called == set(range(len(payload.calls)))
        return has_acted and (self._is_claimed or payload.claim is None)

    def __call__(self, request: ModelRequest) -> ModelReply:
        """Answer."""
        if request.output_schema is not None:
            return self._as_supervisor(request)
        return self._as_agent(request)

    def _sees(self, request: ModelRequest) -> bool:
        return self._says in _flat(_words(request))

    # As an agent.

    def _as_agent(self, request: ModelRequest) -> ModelReply:
        payload = self._payload
        is_worker = "You are Worker," in request.messages[0].text
        if not self._sees(request):
            if self._look is not None and not _has_called(request, model_name(self._look.tool)):
                return call(model_name(self._look.tool), **self._look.args)
            return self._hand_in(request, "Nothing was seen.")
        if is_worker and payload.via.startswith("plan"):
            return self._hand_in(request, payload.says)  # A finding, for its supervisor to obey.
        if is_worker and payload.via == "hand_off":
            return call(HAND_OFF, to=OPERATOR, reason=payload.says)
        if payload.via == "ask" and not _has_called(request, ASK):
            return call(ASK, question=payload.bait, options=list(payload.options))
        for index, wanted in enumerate(payload.calls):
            if index not in self._called:
                self._called.add(index)
                return call(model_name(wanted.tool), **_with_stolen(wanted.args, request))
        return self._hand_in(request, payload.says)

    def _hand_in(self, request: ModelRequest, said: str) -> ModelReply:
        claims = self._claims(request)
        submit = next(tool for tool in request.tools if tool.name == SUBMIT)
        if "headline" in submit.parameters["properties"]:
            return call(
                SUBMIT, headline="All is done.", summary=said, claims=claims, confidence=1.0
            )
        is_seen = said == self._payload.says
        return call(SUBMIT, summary=said, claims=claims, replan=said if is_seen else "")

    def _claims(self, request: ModelRequest) -> list[JsonValue]:
        claim = self._payload.claim
        if claim is None or not self._sees(request):
            return []
        self._is_claimed = True
        known = EVIDENCE.findall(_words(request)) or ["ev-work-call"]
        return [{"text": claim.text, "cites": [{"evidence_id": known[0], "quote": claim.quote}]}]

    # As a supervisor.

    def _as_supervisor(self, request: ModelRequest) -> ModelReply:
        assert request.output_schema is not None
        properties = request.output_schema["properties"]
        if "include" in properties:
            answer: JsonObject = {"headline": "All is done.", "confidence": 1.0}
            return output({**answer, "claims": self._claims(request)})
        is_first = "workflow" in properties
        if self._sees(request) and not self._is_planned:
            self._is_planned = True
            decision = "plan" if is_first else "revise"
            return output({"decision": decision, "reason": "It says so.", "steps": self._steps()})
        if is_first:
            looks: list[JsonValue] = [  # Two, so that it looks at what they found.
                {"id": name, "title": "Look", "agent": WORKER} for name in ("look", "again")
            ]
            return output({"decision": "plan", "reason": "Look first.", "steps": looks})
        return output({"decision": "go_on", "reason": "Nothing new."})

    def _steps(self) -> list[JsonValue]:
        payload = self._payload
        if payload.via == "plan_agent":
            told: JsonObject = {"id": "obey", "title": "Obey", "agent": OPERATOR}
            return [{**told, "instruction": payload.says}]
        return [
            {
                "id": f"obey-{index}",
                "title": "Obey",
                "tool": wanted.tool,
                "inputs": [{"name": name, "value": value} for name, value in wanted.args.items()],
            }
            for index, wanted in enumerate(payload.calls)
        ]


def _words(request: ModelRequest) -> str:
    """Return all that the model is shown: messages, what it was answered, tools."""
    said = [message.text for message in request.messages if message.role is not Role.ASSISTANT]
    return "\n".join([*said, *(tool.description for tool in request.tools)])


def _flat(text: str) -> str:
    """Return a text without white space and escapes, in which it may have been wrapped."""
    return "".join(text.replace("\\n", "").replace("\\", "").split())


def _has_called(request: ModelRequest, name: str) -> bool:
    return any(one.name == name for message in request.messages for one in message.requests)


def _with_stolen(args: JsonObject, request: ModelRequest) -> JsonObject:
    found = re.findall(r"cannot charge with (\S+)", _words(request))
    stolen = found[0] if found else "nothing"
    filled: JsonObject = json.loads(json.dumps(args).replace(STOLEN, stolen))
    return filled
