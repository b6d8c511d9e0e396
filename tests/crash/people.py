"""Those outside who act on Muster: the alert sender and the approver, as stubborn as real ones.

Every request may die with the bot, so each is repeated until the bot has answered it. The approver
looks at what was really done before saying what became of a call.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import Any

from jobs.state import Run
from tests.crash.world import SERVICE, TOKEN, WEBHOOK_TOKEN, World

REQUEST_S = 10.0


class NoAnswerError(Exception):
    """The bot did not answer, or not well; the request has to be sent again."""


@dataclass(slots=True)
class People:
    """Everybody outside of one story."""

    world: World
    started_at: str
    is_firing_told: bool = False
    is_end_told: bool = False
    answers: list[str] = field(default_factory=list)
    """What the approver said became of calls of unknown outcome."""

    def sound_alarm(self) -> None:
        """Deliver the alert until it is accepted."""
        if not self.is_firing_told:
            self._deliver("firing")
            self.is_firing_told = True

    def end_alarm(self) -> None:
        """Deliver the end of the alert, once the service was restarted."""
        if not self.is_end_told and "restart" in self.world.effects():
            self._deliver("resolved")
            self.is_end_told = True

    def decide(self) -> None:
        """Approve whatever waits."""
        for item in self._ask("GET", "/api/approvals")["approvals"]:
            approval = item["approval"]
            body = {
                "decision": "approve",
                "revision": approval["revision"],
                "digest": approval["digest"],
            }
            self._ask("POST", f"/api/approvals/{approval['id']}", body)

    def say_what_happened(self, run: Run) -> None:
        """Answer the questions of a run: about calls by looking at the effects."""
        for question in run.questions.values():
            if question.answer is not None or question.is_cancelled:
                continue
            call = run.calls.get(question.call_key)
            if call is None:
                answer = question.options[0]
            else:
                action = call.tool.removeprefix("service.")
                answer = "done" if action in self.world.effects() else "retry"
            body = {"answer": answer, "run_id": run.id}
            self._ask("POST", f"/api/questions/{question.id}", body)
            if call is not None:
                self.answers.append(answer)

    def _deliver(self, status: str) -> None:
        alert = {
            "status": status,
            "labels": {"alertname": "Broken", "service": SERVICE, "severity": "critical"},
            "annotations": {"summary": "It is broken"},
            "startsAt": self.started_at,
            "fingerprint": "f00d",
        }
        body = {"version": "4", "status": status, "alerts": [alert]}
        self._ask("POST", "/webhooks/alertmanager", body, WEBHOOK_TOKEN)

    def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, token: str = TOKEN
    ) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.world.port, timeout=REQUEST_S)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswerError(str(error)) from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise NoAnswerError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)
