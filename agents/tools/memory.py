"""Memory: what past runs found and what people let be kept, and adding to it."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel, Field

from agents.longterm import DOUBT, KEEP, SEARCH, Doubt, Fact, MemoryBook, PastRuns, search
from agents.tool import Effect, Tool, ToolContext, ToolResult, ToolRetry

MAX_QUERY_CHARS = 300
MAX_FACT_CHARS = 600
MAX_WHY_CHARS = 300
MAX_HITS = 10
ID_CHARS = 10


class SearchArguments(BaseModel, extra="forbid"):
    """What to look for."""

    query: str = Field(min_length=1, max_length=MAX_QUERY_CHARS)
    limit: int = Field(5, ge=1, le=MAX_HITS)


class SearchOutput(BaseModel):
    """What was found, best first; each line says from where and how old it is."""

    ids: list[str] = Field(default_factory=list)
    lines: list[str] = Field(default_factory=list)


class KeepArguments(BaseModel, extra="forbid"):
    """A fact for later runs, in a sentence, and the evidence of this run that shows it."""

    fact: str = Field(min_length=10, max_length=MAX_FACT_CHARS)
    source_evidence: str = Field(min_length=1, max_length=200)
    confidence: float = Field(0.7, gt=0, le=1)


class DoubtArguments(BaseModel, extra="forbid"):
    """Which kept fact is wrong, and what shows it."""

    fact_id: str = Field(min_length=1, max_length=64)
    why: str = Field(min_length=5, max_length=MAX_WHY_CHARS)


class MemoryOutput(BaseModel):
    """Which fact was kept or doubted."""

    fact_id: str
    line: str


class _Search:
    """Looks through facts and past runs."""

    def __init__(self, book: MemoryBook, runs: PastRuns) -> None:
        self._book = book
        self._runs = runs

    async def __call__(self, context: ToolContext, args: SearchArguments) -> ToolResult:
        past = await self._runs.past(context.run_id)
        hits = search(args.query, await self._book.facts(), past, context.now, args.limit)
        lines = [hit.line for hit in hits]
        text = "\n".join(lines) or "nothing like this is remembered"
        output = SearchOutput(ids=[hit.id for hit in hits], lines=lines)
        return ToolResult(output, text, f"Remembered about {args.query}")


class _Keep:
    """Keeps a fact."""

    def __init__(self, book: MemoryBook, runs: PastRuns) -> None:
        self._book = book
        self._runs = runs

    async def __call__(self, context: ToolContext, args: KeepArguments) -> ToolResult:
        if not await self._runs.has_evidence(context.run_id, args.source_evidence):
            raise ToolRetry(
                f"this run has no evidence {args.source_evidence!r}: name the one that shows it",
                "source_evidence",
            )
        fact = Fact(
            id=f"fact-{_short(context.idempotency_key)}",
            text=args.fact,
            source=f"{context.run_id}/{args.source_evidence}",
            run_id=context.run_id,
            at=context.now,
            confidence=args.confidence,
        )
        await self._book.keep(fact)
        line = f"kept as {fact.id}: {fact.text}"
        return ToolResult(MemoryOutput(fact_id=fact.id, line=line), line, "Kept a fact")


class _Doubt:
    """Lowers the weight of a fact."""

    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def __call__(self, context: ToolContext, args: DoubtArguments) -> ToolResult:
        key = _short(context.idempotency_key)
        doubt = Doubt(key, args.why, context.run_id, context.now)
        if not await self._book.doubt(args.fact_id, doubt):
            raise ToolRetry(
                f"there is no fact {args.fact_id!r}: memory.search shows ids", "fact_id"
            )
        line = f"{args.fact_id} weighs less from now on: {args.why}"
        return ToolResult(MemoryOutput(fact_id=args.fact_id, line=line), line, "Doubted a fact")


def memory_tools(book: MemoryBook, runs: PastRuns) -> tuple[Tool, ...]:
    """Return the tools over the given memory; they run in the worker, since they need it."""
    return (
        Tool(
            name=SEARCH,
            description="Search past runs' answers and kept facts, each with source and age.",
            arguments=SearchArguments,
            output=SearchOutput,
            run=_Search(book, runs),
            is_confined=False,
        ),
        Tool(
            name=KEEP,
            description="Keep a fact for later runs, with the evidence of this run that shows it.",
            arguments=KeepArguments,
            output=MemoryOutput,
            run=_Keep(book, runs),
            effect=Effect.WRITES,
            honours_key=True,
            needs_person=True,
            is_confined=False,
        ),
        Tool(
            name=DOUBT,
            description="Say that a kept fact is contradicted, and by what: it weighs less then.",
            arguments=DoubtArguments,
            output=MemoryOutput,
            run=_Doubt(book),
            effect=Effect.WRITES,
            honours_key=True,
            needs_person=True,
            is_confined=False,
        ),
    )


def _short(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:ID_CHARS]
