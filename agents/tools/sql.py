"""SQL: read a database that people declared in services.yaml, one guarded query at a time."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field

from agents.databases.shapes import Cell, Dialect, Reader, Rows, TableShape
from agents.tool import Limits, Tool, ToolContext, ToolResult, ToolRetry
from agents.wording import one_line
from config.specs import DatabaseSpec

MAX_SQL_CHARS = 8_000
MAX_PARAMETERS = 50
MAX_SHOWN_CHARS = 200
MAX_WIDTH_CHARS = 40
"""Columns are padded up to this; a longer value pushes its line out instead of all lines."""
TIME_LIMITS = Limits(timeout_s=130.0, output_kib=2_048)
"""Above the longest `timeout_s` of a database, which is the limit that should speak."""
MARKS: dict[Dialect, str] = {"sqlite": "?", "postgres": "$1, $2 …"}

Parameter = str | int | float | bool | None


class QueryArguments(BaseModel, extra="forbid"):
    """One SELECT; write values as placeholders (? or $1) and give them in `parameters`."""

    database: str = Field(min_length=1, max_length=48)
    sql: str = Field(min_length=1, max_length=MAX_SQL_CHARS)
    parameters: list[Parameter] = Field(default_factory=list, max_length=MAX_PARAMETERS)


class QueryOutput(BaseModel):
    """The rows by column name; `lines` has each row as it stands in the evidence."""

    database: str
    columns: list[str]
    rows: list[dict[str, Parameter]]
    row_count: int
    is_cut: bool = False
    lines: list[str] = Field(default_factory=list)


class TablesArguments(BaseModel, extra="forbid"):
    """Whose tables to list."""

    database: str = Field(min_length=1, max_length=48)


class ColumnRecord(BaseModel):
    """One column."""

    name: str
    type: str
    note: str = ""


class TableRecord(BaseModel):
    """One table; `line` is its line of the evidence."""

    name: str
    kind: str
    columns: list[ColumnRecord]
    description: str = ""
    line: str = ""


class TablesOutput(BaseModel):
    """The tables that may be read, and how parameters are written there."""

    database: str
    dialect: str
    description: str = ""
    placeholder: str
    tables: list[TableRecord] = Field(default_factory=list)


async def query(context: ToolContext, args: QueryArguments) -> ToolResult:
    """Run one query and return its rows."""
    found = reader(context, args.database).query(args.sql, args.parameters)
    heading, *lines = _aligned(found.columns, found.rows) if found.columns else [""]
    output = QueryOutput(
        database=args.database,
        columns=list(found.columns),
        rows=[dict(zip(found.columns, row, strict=True)) for row in found.rows],
        row_count=len(found.rows),
        is_cut=found.is_cut,
        lines=lines,
    )
    text = "\n".join([_head(args.database, found), heading, *lines])
    return ToolResult(output, text, f"Query of {args.database}")


async def tables(context: ToolContext, args: TablesArguments) -> ToolResult:
    """List the tables that may be read, with their columns."""
    spec = database(context, args.database)
    opened = reader(context, args.database)
    records = [_record(shape) for shape in opened.tables()]
    mark = MARKS[opened.dialect]
    output = TablesOutput(
        database=args.database,
        dialect=opened.dialect,
        description=spec.description,
        placeholder=mark,
        tables=records,
    )
    head = [f"{len(records)} tables of {args.database} ({opened.dialect}; parameters: {mark})"]
    about = [spec.description] if spec.description else []
    text = "\n".join([*head, *about, *(record.line for record in records)])
    return ToolResult(output, text, f"Tables of {args.database}")


def database(context: ToolContext, name: str) -> DatabaseSpec:
    """Return the declared database; ToolRetry names the known ones."""
    found = context.world.databases.get(name)
    if found is None:
        known = ", ".join(sorted(context.world.databases)) or "none; add one to services.yaml"
        raise ToolRetry(f"there is no database {name!r}; known databases: {known}", "database")
    return found


def reader(context: ToolContext, name: str) -> Reader:
    """Open a declared database for reading."""
    spec = database(context, name)
    # Imported here: the worker needs this module's arguments, not its parser and drivers.
    if spec.path is not None:
        from agents.databases.sqlite import SqliteReader

        return SqliteReader(spec.path, spec)
    from agents.databases.postgres import PostgresReader

    return PostgresReader(context.secret(spec.url_env or ""), spec)


def check(context: ToolContext, args: QueryArguments | TablesArguments) -> None:
    """Raise ToolRetry for a database that is not declared.

    The statement itself is judged in the child process: reading hostile SQL may take long.
    """
    database(context, args.database)


def secrets(context: ToolContext, args: QueryArguments | TablesArguments) -> tuple[str, ...]:
    """Return the variable with the database's address, if it has one."""
    variable = database(context, args.database).url_env
    return (variable,) if variable else ()


def _head(name: str, found: Rows) -> str:
    count = "1 row" if len(found.rows) == 1 else f"{len(found.rows)} rows"
    note = "; cut: there are more rows or longer values, ask for less" if found.is_cut else ""
    return f"{count} from {name}{note}"


def _aligned(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    """Return a line for the names and one for each row, padded into columns."""
    cells = [[_shown(name) for name in columns], *([_shown(cell) for cell in row] for row in rows)]
    widths = [
        min(MAX_WIDTH_CHARS, max(len(row[index]) for row in cells)) for index in range(len(columns))
    ]
    return [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _shown(cell: Cell) -> str:
    if cell is None:
        return "null"
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return one_line(str(cell), MAX_SHOWN_CHARS)


def _record(shape: TableShape) -> TableRecord:
    columns = [ColumnRecord(name=c.name, type=c.type, note=c.note) for c in shape.columns]
    written = ", ".join(
        " ".join(part for part in (c.name, c.type, c.note and f"({c.note})") if part)
        for c in columns
    )
    about = f" — {one_line(shape.description, MAX_SHOWN_CHARS)}" if shape.description else ""
    kind = " (view)" if shape.kind == "view" else ""
    return TableRecord(
        name=shape.name,
        kind=shape.kind,
        columns=columns,
        description=shape.description,
        line=f"{shape.name}{kind}{about}: {written}",
    )


TOOLS = (
    Tool(
        name="sql.query",
        description="Read rows from a configured database with one SELECT over its tables.",
        arguments=QueryArguments,
        output=QueryOutput,
        run=query,
        check=check,
        secrets=secrets,
        limits=TIME_LIMITS,
    ),
    Tool(
        name="sql.tables",
        description="List the tables and columns of a configured database.",
        arguments=TablesArguments,
        output=TablesOutput,
        run=tables,
        check=check,
        secrets=secrets,
        limits=TIME_LIMITS,
    ),
)
