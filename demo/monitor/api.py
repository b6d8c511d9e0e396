"""The part of Prometheus' HTTP API that the monitor answers."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from demo.monitor.alerts import AlertBook
from demo.monitor.series import Series, SeriesStore, parse_selector
from demo.monitor.webhook import rfc3339
from demo.wire import Request, Response, json_response

MAX_POINTS = 11_000
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_UNITS_S = (3600.0, 60.0, 1.0, 0.001)


class Api:
    """Answer queries from the series store."""

    def __init__(self, store: SeriesStore, book: AlertBook, clock: Callable[[], float]) -> None:
        self._store = store
        self._book = book
        self._clock = clock
        self._routes: dict[str, Callable[[Mapping[str, str]], object]] = {
            "/api/v1/query": self._query,
            "/api/v1/query_range": self._query_range,
            "/api/v1/alerts": self._alerts,
        }

    async def handle(self, request: Request) -> Response:
        """Answer one request in Prometheus' shape."""
        if request.path in {"/-/ready", "/-/healthy"}:
            return Response(200, b"The shop's monitor is ready.\n", "text/plain; charset=utf-8")
        answer = self._routes.get(request.path)
        if answer is None:
            return _error(404, "not_found", "this monitor has no such path")
        if request.method not in {"GET", "POST"}:
            return _error(405, "bad_data", "send a GET, or a POST with a form")
        parameters = dict(request.query) | dict(parse_qsl(request.body.decode("latin-1")))
        try:
            data = answer(parameters)
        except ValueError as error:
            return _error(400, "bad_data", str(error))
        return json_response(200, {"status": "success", "data": data})

    def _query(self, parameters: Mapping[str, str]) -> object:
        selector = parse_selector(_required(parameters, "query"))
        moment = parse_time(parameters["time"]) if "time" in parameters else self._clock()
        values = ((series, series.at(moment)) for series in self._store.select(selector))
        return {
            "resultType": "vector",
            "result": [
                {"metric": _metric(series), "value": [moment, _number(value)]}
                for series, value in values
                if value is not None
            ],
        }

    def _query_range(self, parameters: Mapping[str, str]) -> object:
        selector = parse_selector(_required(parameters, "query"))
        start = parse_time(_required(parameters, "start"))
        end = parse_time(_required(parameters, "end"))
        step_s = parse_duration(_required(parameters, "step"))
        if end < start:
            raise ValueError("end timestamp must not be before start time")
        if step_s <= 0:
            raise ValueError("zero or negative query resolution step widths are not accepted")
        count = math.floor((end - start) / step_s) + 1
        if count > MAX_POINTS:
            raise ValueError(f"over {MAX_POINTS} points per timeseries; use a larger step")
        moments = [round(start + index * step_s, 3) for index in range(count)]
        result = []
        for series in self._store.select(selector):
            values = [
                [moment, _number(value)]
                for moment in moments
                if (value := series.at(moment)) is not None
            ]
            if values:
                result.append({"metric": _metric(series), "values": values})
        return {"resultType": "matrix", "result": result}

    def _alerts(self, parameters: Mapping[str, str]) -> object:
        del parameters
        return {
            "alerts": [
                {
                    "labels": dict(alert.labels),
                    "annotations": dict(alert.annotations),
                    "state": alert.state.phase.value,
                    "activeAt": rfc3339(alert.state.active_since),
                    "value": _number(alert.state.value),
                }
                for alert in self._book.pending_or_firing()
            ]
        }


def parse_time(text: str) -> float:
    """Read seconds since the epoch or an RFC 3339 time."""
    try:
        moment = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text).timestamp()
        except ValueError:
            raise ValueError(f"cannot parse {text!r} to a valid timestamp") from None
    if not math.isfinite(moment):
        raise ValueError(f"cannot parse {text!r} to a valid timestamp")
    return moment


def parse_duration(text: str) -> float:
    """Read seconds or a duration such as 1m30s."""
    try:
        seconds = float(text)
    except ValueError:
        match = _DURATION.fullmatch(text)
        if match is None or not text:
            raise ValueError(f"cannot parse {text!r} to a valid duration") from None
        parts = zip(match.groups(), _UNITS_S, strict=True)
        return sum(int(part) * unit for part, unit in parts if part)
    if not math.isfinite(seconds):
        raise ValueError(f"cannot parse {text!r} to a valid duration")
    return seconds


def _required(parameters: Mapping[str, str], name: str) -> str:
    if not parameters.get(name):
        raise ValueError(f"invalid parameter {name!r}: it is missing")
    return parameters[name]


def _metric(series: Series) -> dict[str, str]:
    return {"__name__": series.name, **series.labels}


def _number(value: float) -> str:
    return f"{value:.10g}"


def _error(status: int, kind: str, text: str) -> Response:
    body: dict[str, Any] = {"status": "error", "errorType": kind, "error": text}
    return json_response(status, body)
