"""The monitor's answers in Prometheus' shape."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from demo.monitor.alerts import AlertBook
from demo.monitor.api import Api, parse_duration, parse_time
from demo.monitor.series import SeriesStore
from demo.wire import Request

NOW = 1_000.0
SELECTOR = 'service:error_ratio{service="checkout"}'


@pytest.fixture
def api() -> Api:
    """Return an API over ten seconds of one series."""
    store = SeriesStore()
    for second in range(11):
        moment = NOW - 10 + second
        store.add("service:error_ratio", {"service": "checkout"}, moment, second / 100)
    return Api(store, AlertBook([]), lambda: NOW)


async def get(api: Api, path: str, **parameters: str) -> tuple[int, Any]:
    """Ask the API and return status and decoded body."""
    response = await api.handle(Request("GET", path, parameters))
    return response.status, response.json()


async def test_instant_query(api: Api) -> None:
    """A query returns the newest value of each series that matches."""
    status, body = await get(api, "/api/v1/query", query=SELECTOR)

    assert status == 200
    assert body == {
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [
                {
                    "metric": {"__name__": "service:error_ratio", "service": "checkout"},
                    "value": [NOW, "0.1"],
                }
            ],
        },
    }


async def test_range_query(api: Api) -> None:
    """A range query returns one value per step."""
    status, body = await get(
        api, "/api/v1/query_range", query=SELECTOR, start="996", end="1000", step="2s"
    )

    assert status == 200
    assert body["data"]["resultType"] == "matrix"
    assert body["data"]["result"][0]["values"] == [[996.0, "0.06"], [998.0, "0.08"], [NOW, "0.1"]]


async def test_form_post(api: Api) -> None:
    """Parameters may come as a form, as Prometheus' own clients send long queries."""
    body = urlencode({"query": SELECTOR, "time": "990"}).encode()

    response = await api.handle(Request("POST", "/api/v1/query", body=body))

    assert json.loads(response.body)["data"]["result"][0]["value"] == [990.0, "0"]


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("query", {}),
        ("query", {"query": "sum(up)"}),
        ("query", {"query": "up", "time": "yesterday"}),
        ("query", {"query": "up", "time": "nan"}),
        ("query_range", {"query": "up", "start": "1", "end": "2"}),
        ("query_range", {"query": "up", "start": "2", "end": "1", "step": "1"}),
        ("query_range", {"query": "up", "start": "1", "end": "2", "step": "0"}),
        ("query_range", {"query": "up", "start": "0", "end": "20000", "step": "1"}),
    ],
)
async def test_bad_queries(api: Api, path: str, parameters: dict[str, str]) -> None:
    """What cannot be answered is a 400 with a sentence."""
    status, body = await get(api, f"/api/v1/{path}", **parameters)

    assert status == 400
    assert body["status"] == "error"
    assert body["errorType"] == "bad_data"
    assert body["error"]


async def test_unknown_series_is_empty(api: Api) -> None:
    """A series that does not exist is an empty result, not an error."""
    status, body = await get(api, "/api/v1/query", query="nothing")

    assert (status, body["data"]["result"]) == (200, [])


async def test_ready_and_unknown_path(api: Api) -> None:
    """The readiness page answers; other pages do not exist."""
    assert (await api.handle(Request("GET", "/-/ready"))).status == 200
    assert (await get(api, "/api/v1/labels"))[0] == 404


def test_times_and_durations() -> None:
    """Times are epoch seconds or RFC 3339, durations are seconds or Prometheus' units."""
    assert parse_time("1970-01-01T00:01:00Z") == 60.0
    assert parse_time("12.5") == 12.5
    assert parse_duration("1m30s") == 90.0
    assert parse_duration("250ms") == 0.25
    assert parse_duration("15") == 15.0
