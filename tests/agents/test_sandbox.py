"""A tool call is confined: whatever it does, the worker gets an answer and nothing is left."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from agents.excerpt import MAX_TEXT_CHARS, cut, is_cut
from agents.redact import MASK
from agents.sandbox import call
from agents.tool import (
    Limits,
    OutcomeUnknownError,
    Tool,
    ToolContext,
    ToolFailed,
    ToolResult,
    ToolRetry,
    TransientError,
)
from config.specs import ServicesFile
from tests.agents.sandbox_tools import TOOLS, Arguments, Output

TOOL = TOOLS[0]
CONTEXT = ToolContext(world=ServicesFile(), now=0.0, idempotency_key="run/step/call")
GONE_WITHIN_S = 5.0


async def behave(how: str, path: Path | None = None, limits: Limits | None = None) -> ToolResult:
    """Run the misbehaving tool in a child process."""
    return await call(TOOL, {"how": how, "path": str(path or "")}, CONTEXT, limits=limits)


async def pid_in(path: Path) -> int:
    """Wait for the tool to write a process id."""
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(path.exists):  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.01)
    return int(await asyncio.to_thread(path.read_text))


async def is_gone(pid: int) -> bool:
    """Return whether the process ends soon."""
    for _ in range(int(GONE_WITHIN_S / 0.02)):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        await asyncio.sleep(0.02)
    return False


async def test_result_comes_back() -> None:
    """Output, text, title and file cross the process boundary."""
    result = await behave("file")

    assert isinstance(result.output, Output)
    assert (result.output.said, result.text, result.title) == ("file", "file", "Test")
    assert result.file is not None
    assert result.file.data == b"\x00\xff"


async def test_timeout_kills_the_tool_and_what_it_started(tmp_path: Path) -> None:
    """A grandchild does not outlive a call that took too long."""
    running = asyncio.create_task(behave("spawn", tmp_path / "pid", Limits(timeout_s=1.5)))
    grandchild = await pid_in(tmp_path / "pid")

    with pytest.raises(ToolFailed, match="did not finish within"):
        await running

    assert await is_gone(grandchild)


async def test_nothing_is_left_after_a_good_call(tmp_path: Path) -> None:
    """A process that a tool leaves behind is ended with the call."""
    await behave("leave", tmp_path / "pid")

    assert await is_gone(await pid_in(tmp_path / "pid"))


async def test_cancelling_kills_the_tool(tmp_path: Path) -> None:
    """Stopping a step stops its tool at once."""
    running = asyncio.create_task(behave("sleep", tmp_path / "pid"))
    child = await pid_in(tmp_path / "pid")

    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert await is_gone(child)


@pytest.mark.parametrize("how", ["memory", "load"])
async def test_too_much_memory_is_said_so(how: str) -> None:
    """Running out of its memory is told as that, with what to do."""
    with pytest.raises(ToolFailed, match="more memory than its 512 MiB"):
        await behave(how, limits=Limits(memory_mib=512))


async def test_too_much_output_is_said_so() -> None:
    """An answer beyond the limit is refused, not cut in the middle of its data."""
    with pytest.raises(ToolFailed, match="more than 64 KiB of output"):
        await behave("output", limits=Limits(output_kib=64))


async def test_busy_loop_is_stopped() -> None:
    """A tool that blocks its own loop is killed from outside."""
    with pytest.raises(ToolFailed, match="did not finish"):
        await behave("burn", limits=Limits(timeout_s=0.8))


async def test_crash_tells_exit_code_and_redacted_last_words() -> None:
    """A child that vanishes is reported with its exit code; secrets in stderr are masked."""
    with pytest.raises(OutcomeUnknownError) as caught:
        await behave("crash")

    assert "exit code 7" in str(caught.value)
    assert MASK in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_bug_in_a_tool_is_a_failure() -> None:
    """An unexpected exception names itself and does not reach the worker as it is."""
    with pytest.raises(ToolFailed, match="KeyError"):
        await behave("bug")


@pytest.mark.parametrize(
    ("how", "family"), [("retry", ToolRetry), ("failed", ToolFailed), ("transient", TransientError)]
)
async def test_error_families_cross_the_boundary(how: str, family: type[Exception]) -> None:
    """The worker can tell who is to act on an error."""
    with pytest.raises(family):
        await behave(how)


async def test_printing_does_not_disturb_the_answer() -> None:
    """What a tool prints to stdout is not taken for its result."""
    assert (await behave("print")).text == "print"


async def test_secrets_are_redacted_in_output_and_text() -> None:
    """Nothing that looks like a secret leaves the sandbox."""
    result = await behave("secret")

    assert result.text == f"password={MASK}"
    assert result.output.model_dump() == {"said": f"password={MASK}"}


async def test_child_sees_none_of_our_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the worker, with its secrets, stays outside."""
    monkeypatch.setenv("MUSTER_SECRET_KEY", "s3same-open")

    assert "MUSTER" not in (await behave("environment")).text


async def test_idempotency_key_reaches_the_tool() -> None:
    """The key of a writing call is part of its context."""
    assert (await behave("key")).text == "run/step/call"


async def test_long_text_is_cut_and_says_so() -> None:
    """Evidence has a length limit; the end of the text tells that it was cut."""
    result = await behave("lines")

    assert len(result.text) <= MAX_TEXT_CHARS + 100
    assert is_cut(result.text)


async def test_wrong_arguments_name_the_right_ones() -> None:
    """A refused argument is named with the reason and the known names."""
    with pytest.raises(ToolRetry, match=r"hwo: Extra inputs.*arguments are: how, path"):
        await call(TOOL, {"hwo": "print"}, CONTEXT)


def in_loop(run: object) -> Tool:
    """Return a tool that runs in the worker itself."""
    return replace(TOOL, run=run, is_confined=False)  # type: ignore[arg-type]


async def test_unconfined_tool_runs_here_with_a_timeout() -> None:
    """A tool that needs the worker's own objects is still bounded in time."""

    async def sleep(context: ToolContext, args: Arguments) -> ToolResult:
        await asyncio.sleep(60)
        raise AssertionError

    with pytest.raises(ToolFailed, match="did not finish within"):
        await call(in_loop(sleep), {}, CONTEXT, limits=Limits(timeout_s=0.05))


async def test_unconfined_tool_is_redacted_too() -> None:
    """Secrets that the caller knows are masked in text, title and output."""

    async def tell(context: ToolContext, args: Arguments) -> ToolResult:
        return ToolResult(Output(said="it is s3same-open"), "s3same-open", "s3same-open")

    result = await call(in_loop(tell), {}, CONTEXT, secrets=["s3same-open"])

    assert (result.text, result.title) == (MASK, MASK)
    assert result.output.model_dump() == {"said": f"it is {MASK}"}


def test_cut_keeps_whole_lines() -> None:
    """Text is cut at a line's end, so that every kept line can be quoted."""
    shortened = cut("first line\nsecond line\nthird line", 24)

    assert shortened.startswith("first line\nsecond line\n[cut: ")
    assert not is_cut("first line")
