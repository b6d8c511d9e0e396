"""litellm over HTTP against a server that is as strict as OpenAI."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading

import pytest
from structlog.testing import capture_logs

from agents.models import lite
from agents.models.memory_gate import MemoryGate
from agents.models.port import (
    BadOutputError,
    Finish,
    Message,
    Model,
    ModelBusyError,
    ModelError,
    ModelRequest,
    ModelRequestError,
    NoModelError,
    Role,
    estimated_tokens,
)
from agents.models.router import ModelRouter
from config.specs import ModelsFile, ModelSpec
from tests.agents.test_models.conftest import KEY, until
from tests.contracts.model import (
    ALIAS,
    ONSET,
    SCHEMA,
    ModelContract,
    Tell,
    Told,
    Trouble,
    asking,
)
from tests.model_server import (
    BAD_KEY,
    Call,
    Cut,
    ModelServer,
    Reply,
    call,
    calls,
    failure,
    output,
    refusal,
    say,
    too_many,
)

WORDS = "It looks as if the deploy at noon made the queries slow. " * 6


def answer(told: Told) -> Reply:
    """Return what the server says."""
    if told.trouble is Trouble.BUSY:
        return failure(503)
    if told.trouble is Trouble.REFUSAL:
        return refusal()
    if told.calls:
        return calls(*told.calls)
    return output(told.value) if told.value is not None else say(told.text)


async def no_sleep(_: float) -> None:
    """Pause for no time."""
    await asyncio.sleep(0)


class OverHttp(ModelContract):
    """The router with the real litellm; `by` says how outputs are asked for."""

    by = "native"

    @pytest.fixture
    def model(self, spec: ModelSpec) -> Model:
        """Return a router over the server's model."""
        entry = spec.model_copy(
            update={
                "structured": self.by,
                "input_usd_per_million": 2.0,
                "output_usd_per_million": 8.0,
            }
        )
        models = ModelsFile(models={ALIAS: (entry,)})
        return ModelRouter(models, MemoryGate(), {"TEST_KEY": KEY}, sleep=no_sleep)

    @pytest.fixture
    def tell(self, model_server: ModelServer) -> Tell:
        """Return what sets the server's script."""

        def follow(*told: Told) -> None:
            model_server.follow([answer(one) for one in told])

        return follow


class TestNative(OverHttp):
    """The contract, with outputs as JSON Schema."""


class TestByTool(OverHttp):
    """The contract, with outputs as arguments of a forced call."""

    by = "tool"


async def ask(
    spec: ModelSpec, request: ModelRequest | None = None, heard: list[str] | None = None
) -> object:
    """Make one call with the key."""
    watch = None if heard is None else heard.append
    return await lite.attempt(spec, KEY, request or asking(), watch)


async def test_installed_litellm_can_use_tools(model_server: ModelServer, spec: ModelSpec) -> None:
    """Some releases cannot, without a package that nobody needs: those must not be installed."""
    model_server.follow([call("metrics.onset", service="checkout")])

    reply = await lite.attempt(spec, KEY, asking(tools=(ONSET,)))

    assert [one.name for one in reply.requests] == ["metrics.onset"]
    assert model_server.calls[0].body["tools"][0]["function"]["name"] == "metrics-onset"


@pytest.mark.parametrize("is_watched", [True, False])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ModelRequestError),
        (401, ModelRequestError),
        (403, ModelRequestError),
        (404, ModelRequestError),
        (408, ModelBusyError),
        (409, ModelBusyError),
        (413, ModelRequestError),
        (429, ModelBusyError),
        (500, ModelBusyError),
        (502, ModelBusyError),
        (503, ModelBusyError),
        (529, ModelBusyError),
    ],
)
async def test_status_decides_whether_to_try_again(
    model_server: ModelServer,
    spec: ModelSpec,
    status: int,
    kind: type[ModelError],
    is_watched: bool,
) -> None:
    """Litellm maps statuses in its own way; what counts is the status. It never retries."""
    model_server.follow(lambda _: failure(status, "no"))

    with pytest.raises(kind) as caught:
        await ask(spec, heard=[] if is_watched else None)

    assert type(caught.value) is kind
    assert getattr(caught.value, "status", None) == status
    assert len(model_server.calls) == 1


async def test_retry_after_is_heard(model_server: ModelServer, spec: ModelSpec) -> None:
    """Litellm keeps the headers in a place of its own."""
    model_server.follow([too_many("7")])

    with pytest.raises(ModelBusyError) as caught:
        await ask(spec)

    assert caught.value.retry_after_s == 7.0


async def test_words_that_are_too_many_are_a_wrong_request(
    model_server: ModelServer, spec: ModelSpec
) -> None:
    """The provider's sentence is passed on: it says how many there are and may be."""
    words = "This model's maximum context length is 128000 tokens"
    model_server.follow([failure(400, words, "context_length_exceeded")])

    with pytest.raises(ModelRequestError, match="128000 tokens") as caught:
        await ask(spec)

    assert caught.value.status == 400


@pytest.mark.parametrize("is_watched", [True, False])
@pytest.mark.parametrize("cut", [Cut.BROKEN_JSON, Cut.DROPPED, Cut.ENDED])
async def test_answer_that_breaks_off_may_work_in_a_moment(
    model_server: ModelServer, spec: ModelSpec, cut: Cut, is_watched: bool
) -> None:
    """However it breaks off, half an answer is never taken for a whole one."""
    model_server.follow([Reply(text=WORDS, cut=cut)])

    with pytest.raises(ModelBusyError):
        await ask(spec, heard=[] if is_watched else None)


@pytest.mark.parametrize("is_watched", [True, False])
async def test_answer_that_stops_coming_runs_into_the_limit(
    model_server: ModelServer, spec: ModelSpec, is_watched: bool
) -> None:
    """The limit is for the whole call, also when some words came in time."""
    model_server.follow([Reply(text=WORDS, cut=Cut.STALLED)])
    entry = spec.model_copy(update={"timeout_s": 0.2})

    with pytest.raises(ModelBusyError, match="timeout_s"):
        await ask(entry, heard=[] if is_watched else None)


async def test_nobody_there_may_work_in_a_moment(warmed: None) -> None:
    """A server that is just starting is not a wrong entry."""
    with pytest.raises(ModelBusyError):
        await ask(ModelSpec(model="m", base_url="http://127.0.0.1:9/v1"))
    await lite.close()


async def test_cancelled_call_lets_go_of_the_server(
    model_server: ModelServer, spec: ModelSpec
) -> None:
    """Stopping a run ends what the model is still saying."""
    heard: list[str] = []
    model_server.follow([Reply(text=WORDS, cut=Cut.STALLED)])
    speaking = asyncio.create_task(ask(spec, heard=heard))
    await until(lambda: heard)
    speaking.cancel()
    await asyncio.gather(speaking, return_exceptions=True)

    await until(lambda: not model_server.ledger.in_flight)


async def test_filtered_answer_is_a_refusal(model_server: ModelServer, spec: ModelSpec) -> None:
    """Some providers say it by why the answer ended."""
    model_server.follow(lambda _: Reply(text="I", finish="content_filter"))

    whole = await lite.attempt(spec, KEY, asking())
    streamed = await lite.attempt(spec, KEY, asking(), lambda _: None)

    assert whole.finish is streamed.finish is Finish.REFUSED


async def test_length_limit_reaches_the_model(model_server: ModelServer, spec: ModelSpec) -> None:
    """The request's limit is sent, and a reply that ran into it says so."""
    model_server.follow([say(WORDS)])

    reply = await lite.attempt(spec, KEY, ModelRequest(ALIAS, asking().messages, (), None, 16))

    assert reply.finish is Finish.LENGTH
    assert WORDS.startswith(reply.text)


async def test_output_that_was_cut_is_not_mended(
    model_server: ModelServer, spec: ModelSpec
) -> None:
    """The second try is told to be shorter, not that brackets are missing."""
    model_server.follow([output({"cause": WORDS}), output({"cause": "deploy"})])
    request = ModelRequest(ALIAS, asking().messages, (), SCHEMA, 16)

    reply = await lite.attempt(spec, KEY, request)

    assert reply.output == {"cause": "deploy"}
    assert "shorter" in model_server.calls[1].text


async def test_faults_are_told_to_the_model(model_server: ModelServer, spec: ModelSpec) -> None:
    """The second call ends with the wrong reply and what is wrong with it."""
    model_server.follow([output({"score": "high"}), output({"cause": "deploy"})])
    entry = spec.model_copy(update={"structured": "native"})

    await lite.attempt(entry, KEY, asking(has_schema=True))

    wrong, told = model_server.calls[1].messages[-2:]
    assert '"high"' in wrong["content"]
    assert "$.score" in told["content"]
    assert "'cause' is a required property" in told["content"]


async def test_busy_second_try_is_still_paid(model_server: ModelServer, spec: ModelSpec) -> None:
    """What the first reply used is not forgotten because the second call fails."""
    model_server.follow([output({"score": "high"}), failure(503)])

    with pytest.raises(ModelBusyError) as caught:
        await ask(spec, asking(has_schema=True))

    assert caught.value.usage is not None
    assert caught.value.usage.input_tokens > 0


async def test_output_beside_tools_leaves_the_choice(
    model_server: ModelServer, spec: ModelSpec
) -> None:
    """A model may look things up before it gives its output."""
    model_server.follow(
        [call("metrics.onset", service="checkout"), Reply(calls=(Call("reply", {"cause": "x"}),))]
    )
    request = asking(tools=(ONSET,), has_schema=True)

    first = await lite.attempt(spec, KEY, request)
    second = await lite.attempt(spec, KEY, request)

    assert (first.requests[0].name, first.output) == ("metrics.onset", None)
    assert (second.requests, second.output) == ((), {"cause": "x"})
    assert model_server.calls[0].body["tool_choice"] == "required"


@pytest.mark.parametrize("structured", ["native", "tool"])
async def test_forced_output_in_words_is_read_too(
    model_server: ModelServer, spec: ModelSpec, structured: str
) -> None:
    """Local servers ignore what they cannot enforce."""
    model_server.follow([say('{"cause": "deploy"}')])
    entry = spec.model_copy(update={"structured": structured})

    reply = await lite.attempt(entry, KEY, asking(has_schema=True))

    assert reply.output == {"cause": "deploy"}


async def test_way_to_ask_follows_the_model(model_server: ModelServer, spec: ModelSpec) -> None:
    """Litellm knows which models take a JSON Schema; the others get a call they must make."""
    model_server.follow(lambda _: output({"cause": "deploy"}))
    known = spec.model_copy(update={"model": "gpt-4o"})

    for entry in (spec, known):
        reply = await lite.attempt(entry, KEY, asking(has_schema=True))
        assert reply.output == {"cause": "deploy"}

    by_tool, native = (one.body for one in model_server.calls)
    assert by_tool["tool_choice"]["function"]["name"] == "reply"
    assert "response_format" not in by_tool
    assert native["response_format"]["json_schema"]["strict"] is True
    assert "tools" not in native


async def test_schema_without_a_strict_form_is_asked_for_loosely(
    model_server: ModelServer, spec: ModelSpec
) -> None:
    """A map of anything cannot be enforced; the reply is checked all the same."""
    model_server.follow([output({"any": 1})])
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    request = ModelRequest(ALIAS, asking().messages, output_schema=schema)
    entry = spec.model_copy(update={"structured": "native"})

    reply = await lite.attempt(entry, KEY, request)

    assert reply.output == {"any": 1}
    assert model_server.calls[0].body["response_format"]["json_schema"]["strict"] is False


async def test_price_of_a_known_model(model_server: ModelServer, spec: ModelSpec) -> None:
    """Litellm's own map is enough; the server's bill is what is counted."""
    model_server.follow([say("yes")])
    entry = spec.model_copy(update={"model": "gpt-4o"})

    usage = (await lite.attempt(entry, KEY, asking())).usage

    assert usage.cost_usd == lite.price_usd(entry, usage.input_tokens, usage.output_tokens)
    assert usage.cost_usd


async def test_cached_tokens_are_counted_and_cheaper(
    model_server: ModelServer, spec: ModelSpec
) -> None:
    """The second turn of a long conversation pays less for what it repeats."""
    model_server.follow(lambda _: say("yes"))
    entry = spec.model_copy(update={"model": "gpt-4o"})
    long = (Message(Role.SYSTEM, "Know this. " * 1_000), Message(Role.USER, "Now?"))
    first = (await lite.attempt(entry, KEY, asking(*long))).usage

    more = (*long, Message(Role.ASSISTANT, "yes"), Message(Role.USER, "And now?"))
    second = (await lite.attempt(entry, KEY, asking(*more))).usage

    assert first.cached_tokens == 0
    assert second.cached_tokens > 1_024
    assert first.cost_usd is not None
    assert second.cost_usd is not None
    assert second.cost_usd < first.cost_usd


async def test_unknown_price_is_none(model_server: ModelServer, spec: ModelSpec) -> None:
    """Not nothing: nobody knows."""
    model_server.follow([say("yes")])

    assert (await lite.attempt(spec, KEY, asking())).usage.cost_usd is None
    assert lite.price_usd(spec, 1_000, 10) is None


async def test_prices_of_people_go_first(model_server: ModelServer, spec: ModelSpec) -> None:
    """A local server costs what its people say."""
    entry = spec.model_copy(
        update={"model": "gpt-4o", "input_usd_per_million": 0.0, "output_usd_per_million": 1.0}
    )

    assert lite.price_usd(entry, 1_000_000, 2_000_000) == 2.0


@pytest.mark.parametrize("is_watched", [True, False])
async def test_usage_is_estimated_when_the_server_is_silent(
    model_server: ModelServer, spec: ModelSpec, is_watched: bool
) -> None:
    """Budgets hold for servers that give no bill."""
    model_server.follow([Reply(text=WORDS, has_usage=False)])
    heard: list[str] | None = [] if is_watched else None
    request = asking()

    reply = await lite.attempt(spec, KEY, request, None if heard is None else heard.append)

    assert reply.usage.input_tokens >= estimated_tokens(request.messages) // 2
    assert reply.usage.output_tokens >= len(WORDS) // 8


async def test_words_are_streamed_only_where_somebody_watches(
    model_server: ModelServer, spec: ModelSpec
) -> None:
    """Pieces cost CPU; half an output tells nobody anything."""
    model_server.follow(lambda _: output({"cause": "deploy"}))

    await ask(spec)
    await ask(spec, heard=[])
    await ask(spec, asking(has_schema=True), heard=[])

    assert [one.is_streamed for one in model_server.calls] == [False, True, False]


async def test_server_without_a_key_gets_none(
    model_server: ModelServer, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key that happens to be in the environment is OpenAI's, not this server's."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-somebody-elses-key")
    with ModelServer([say("hello")]) as open_server:
        await lite.attempt(ModelSpec(model="m", base_url=open_server.base_url), None, asking())

        assert open_server.calls[0].key == "none"


@pytest.mark.parametrize(
    "reply",
    [
        BAD_KEY,
        failure(400, f"bad request with Authorization: Bearer {KEY}"),
        failure(500, f"we crashed on {KEY}"),
        failure(429, f"slow down, {KEY}"),
        Reply(text="x", cut=Cut.DROPPED),
    ],
)
async def test_key_is_in_no_error_and_no_log(
    model_server: ModelServer, spec: ModelSpec, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    """Also when the provider repeats it in full; not in the chain of causes either."""
    caplog.set_level(logging.DEBUG)
    model_server.follow(lambda _: reply)
    models = ModelsFile(models={ALIAS: (spec,)})
    router = ModelRouter(models, MemoryGate(), {"TEST_KEY": KEY}, sleep=no_sleep)

    with capture_logs() as logs, pytest.raises(ModelError) as caught:
        await router.complete(asking(), lambda _: None)

    told: list[str] = []
    error: BaseException | None = caught.value
    while error is not None:
        told += [str(error), repr(error)]
        hidden = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or hidden
    assert KEY not in " ".join(told)
    assert KEY not in caplog.text
    assert KEY not in str(logs)


async def test_wrong_key_names_the_variable_to_check(
    model_server: ModelServer, spec: ModelSpec
) -> None:
    """The server's own refusal, as at a provider."""
    models = ModelsFile(models={ALIAS: (spec,)})
    router = ModelRouter(models, MemoryGate(), {"TEST_KEY": "wrong-key-wrong"})

    with pytest.raises(NoModelError, match="key_env") as caught:
        await router.complete(asking())

    assert "wrong-key-wrong" not in str(caught.value)


async def test_calls_at_once_share_a_process(model_server: ModelServer, spec: ModelSpec) -> None:
    """Many calls are under way together, and each gets its own answer."""
    ready = threading.Event()
    model_server.follow(lambda asked: Reply(text=asked.text, until=ready))
    wanted = [str(number) for number in range(8)]
    asked = [
        asyncio.create_task(lite.attempt(spec, KEY, asking(Message(Role.USER, one))))
        for one in wanted
    ]
    await until(lambda: model_server.ledger.in_flight == len(wanted))
    ready.set()

    assert [reply.text for reply in await asyncio.gather(*asked)] == wanted


async def test_bad_output_error_counts_both_calls(
    model_server: ModelServer, spec: ModelSpec
) -> None:
    """Both replies are paid for though neither can be used."""
    model_server.follow(lambda _: say("no"))

    with pytest.raises(BadOutputError) as caught:
        await ask(spec, asking(has_schema=True))

    assert caught.value.usage is not None
    assert caught.value.usage.input_tokens == model_server.ledger.input_tokens


def test_import_is_left_to_warm() -> None:
    """Whoever only needs the port, the router or the twins does not pay for litellm."""
    code = (
        "import sys; import agents.models.router, agents.models.scripted;"
        "assert 'litellm' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})


def test_warm_process_can_be_forked(warmed: None) -> None:
    """Neither threads nor a loop are left behind, and litellm keeps to itself."""
    litellm = sys.modules["litellm"]

    assert lite.is_warm()
    assert not [one.name for one in threading.enumerate() if "litellm" in one.name]
    assert litellm.telemetry is False
    assert litellm.cache is None
    assert litellm.callbacks == litellm.success_callback == litellm.failure_callback == []
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
