"""Decides whether a statement may run: one query, over the listed tables, with harmless functions.

Pure, over sqlglot's tree. SQLite asks once more for each thing a statement touches (see
`agents.databases.sqlite`). PostgreSQL cannot, so there the text that runs is written anew from
the tree that was checked, and only functions on a list may be called.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from agents.databases.shapes import Dialect
from agents.tool import ToolRetry
from agents.wording import one_line

SHOWN_CHARS = 60
SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema", "pg_toast", "temp"})
SYSTEM_PREFIXES = {"sqlite": ("sqlite_", "pragma_", "dbstat"), "postgres": ("pg_",)}
HOME_SCHEMA = {"sqlite": "main", "postgres": "public"}
SQLITE_FORBIDDEN = frozenset(
    {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "zeroblob", "randomblob"}
)
"""Functions of SQLite that reach outside or only make large values; the rest is pure."""
SQLITE_TABLE_FUNCTIONS = frozenset({"json_each", "json_tree"})
POSTGRES_ALLOWED = frozenset(
    (Path(__file__).parent / "postgres_functions.txt").read_text(encoding="utf-8").split()
)
"""Functions of PostgreSQL beyond those that sqlglot knows by their meaning, all of them pure."""

_SOURCES = (exp.Table, exp.Subquery, exp.Values, exp.Unnest, exp.Lateral)
_ESCAPED = (exp.ByteString, exp.UnicodeString, exp.National)
_CHANGES = (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock)

# What it cannot read it calls a command, and warns: the refusal says so already.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that may run, and the names that it gives to queries of its own (CTEs)."""

    sql: str
    own_names: frozenset[str]


def checked(sql: str, dialect: Dialect, tables: tuple[str, ...], parameters: int) -> Statement:
    """Return what may run; ToolRetry says what is wrong and what would be right."""
    try:
        return _checked(sql, dialect, tables, parameters)
    except RecursionError as error:
        raise ToolRetry("this SQL is nested too deeply; make it simpler") from error


def _checked(sql: str, dialect: Dialect, tables: tuple[str, ...], parameters: int) -> Statement:
    tree = _parsed(sql, dialect)
    _only_reads(tree)
    _only_known_sources(tree)
    _only_listed(tree, dialect, tables)
    _only_harmless(tree, dialect)
    _only_bound(tree, dialect, parameters)
    text = tree.sql(dialect=dialect, comments=False, normalize_functions=False)
    return Statement(
        sql=sql.strip().rstrip(";") if dialect == "sqlite" else text,
        own_names=frozenset(cte.alias.lower() for cte in tree.find_all(exp.CTE)),
    )


def is_readable(name: str, schema: str, dialect: Dialect, tables: tuple[str, ...]) -> bool:
    """Return whether a table is among the listed ones; without a list, whether it is no system's.

    Names are given as the database has them: PostgreSQL's unquoted ones in lower case.
    """
    if dialect == "sqlite":
        name, schema = name.lower(), schema.lower()
        tables = tuple(table.lower() for table in tables)
    if schema in SYSTEM_SCHEMAS or name.startswith(SYSTEM_PREFIXES[dialect]):
        return False
    if not tables:
        return dialect != "sqlite" or schema in {"", HOME_SCHEMA[dialect]}
    written = {f"{schema}.{name}"} if schema else {name}
    if schema in {"", HOME_SCHEMA[dialect]}:
        written |= {name, f"{HOME_SCHEMA[dialect]}.{name}"}
    return not written.isdisjoint(tables)


def refusal(name: str, tables: tuple[str, ...]) -> ToolRetry:
    """Return why a table is not read, and which are."""
    readable = ", ".join(tables) or "all tables but those of the system; sql.tables lists them"
    return ToolRetry(f"{one_line(name, SHOWN_CHARS)!r} may not be read here; may be: {readable}")


def _parsed(sql: str, dialect: Dialect) -> exp.Query:
    try:
        found = sqlglot.parse(sql, dialect=dialect)
    except ParseError as error:
        raise ToolRetry(f"this is not SQL that {dialect} understands: {_where(error)}") from error
    except SqlglotError as error:
        raise ToolRetry(f"this SQL cannot be read: {one_line(str(error), 200)}") from error
    statements = [one for one in found if one is not None and not isinstance(one, exp.Semicolon)]
    if len(statements) != 1:
        raise ToolRetry(f"give exactly one statement, not {len(statements)}")
    tree = statements[0]
    if not isinstance(tree, exp.Query):
        raise ToolRetry(
            f"only SELECT is allowed (also with WITH or UNION), not {_kind(tree)}; "
            "this tool never changes anything"
        )
    return tree


def _where(error: ParseError) -> str:
    first = error.errors[0] if error.errors else {}
    if not first:
        return one_line(str(error), 200)
    near = f", at {one_line(str(first['highlight']), SHOWN_CHARS)!r}" if first["highlight"] else ""
    what = str(first["description"]).rstrip(".")
    return f"{what} (line {first['line']}, column {first['col']}{near})"


def _kind(node: exp.Expr) -> str:
    return type(node).__name__.upper() if not isinstance(node, exp.Command) else str(node.this)


def _only_reads(tree: exp.Query) -> None:
    for node in tree.find_all(*_CHANGES):
        raise ToolRetry(
            f"{_kind(node)} is not allowed in a query; this tool never changes or locks anything"
        )
    for cte in tree.find_all(exp.CTE):
        if not isinstance(cte.this, exp.Query | exp.Values):
            raise ToolRetry(f"WITH {cte.alias} must be a SELECT, not {_kind(cte.this)}")


def _only_listed(tree: exp.Query, dialect: Dialect, tables: tuple[str, ...]) -> None:
    for table in tree.find_all(exp.Table):
        if isinstance(table.this, exp.Func) or table.args.get("rows_from"):
            continue  # A function in FROM is checked as a function.
        name, schema = _name(table.this, dialect), _name(table.args.get("db"), dialect)
        if not schema and any(_sees(table, name, dialect)):
            continue
        if not name or table.catalog or not is_readable(name, schema, dialect, tables):
            raise refusal(table.sql(dialect=dialect), tables)


def _only_known_sources(tree: exp.Query) -> None:
    """Refuse what stands in FROM and is none of the shapes that the other checks look into."""
    for clause in tree.find_all(exp.From, exp.Join):
        source = clause.this
        if isinstance(source, exp.Lateral):
            is_known = isinstance(source.this, exp.Subquery | exp.Func)
        else:
            is_known = isinstance(source, _SOURCES)
        if not is_known:
            raise ToolRetry("name a table, a subquery or a function in FROM")


def _sees(table: exp.Expr, name: str, dialect: Dialect) -> Iterator[bool]:
    """Yield True for each CTE of that name whose scope the table is in.

    A CTE is seen by the query it belongs to and by the CTEs after it; by itself and those before
    it only where it is RECURSIVE. SQLite does not care, and checks the tables itself.
    """
    inside: exp.Expr = table
    node = table.parent
    while node is not None:
        clause = node if isinstance(node, exp.With) else _with(node)
        if clause is not None and clause is not inside:
            for cte in clause.expressions:
                if cte is inside and dialect == "postgres" and not clause.args.get("recursive"):
                    break
                if _name(cte.args["alias"].this, dialect) == name:
                    yield True
        # From inside the WITH itself, its owner has nothing new to say.
        inside, node = (node, node.parent) if not isinstance(node, exp.With) else _above(node)


def _above(clause: exp.With) -> tuple[exp.Expr, exp.Expr | None]:
    owner = clause.parent
    return (owner, owner.parent) if owner is not None else (clause, None)


def _with(node: exp.Expr) -> exp.With | None:
    found = node.args.get("with_")
    return found if isinstance(found, exp.With) else None


def _name(node: object, dialect: Dialect) -> str:
    """Return an identifier as the database understands it."""
    if not isinstance(node, exp.Identifier):
        return ""
    is_exact = dialect == "postgres" and node.args.get("quoted")
    return node.name if is_exact else node.name.lower()


def _only_harmless(tree: exp.Query, dialect: Dialect) -> None:
    if tree.find(exp.Operator):
        raise ToolRetry("write operators plainly, without OPERATOR(…)")
    if dialect == "postgres" and tree.find(*_ESCAPED):
        # Two readers of escapes that differ by one sign would see two different statements.
        raise ToolRetry("write texts as '…', or give them in `parameters`, not as E'…' or U&'…'")
    for call in tree.find_all(exp.Func):
        schema = _schema(call)
        if schema and schema != "pg_catalog":
            raise ToolRetry(f"functions of the schema {schema!r} may not be called here")
        if not isinstance(call, exp.Anonymous):
            continue
        name = call.name.lower()
        is_source = isinstance(call.parent, exp.Table)
        if dialect == "postgres":
            is_allowed = name in POSTGRES_ALLOWED
        elif is_source:
            is_allowed = name in SQLITE_TABLE_FUNCTIONS
        else:
            is_allowed = name not in SQLITE_FORBIDDEN
        if not is_allowed:
            raise ToolRetry(
                f"the function {one_line(name, SHOWN_CHARS)} may not be called here; "
                "use plain SQL over the tables"
            )


def _schema(call: exp.Expr) -> str:
    """Return the schema before a function's name, wherever the parser put it."""
    parent = call.parent
    if isinstance(parent, exp.Dot) and parent.expression is call:
        return str(parent.this.sql()).strip('"').lower()
    if isinstance(parent, exp.Table) and parent.this is call:
        return str(parent.db).lower()
    return ""


def _only_bound(tree: exp.Query, dialect: Dialect, parameters: int) -> None:
    """Check how parameters are written; SQLite itself counts them."""
    marks = list(tree.find_all(exp.Placeholder))
    if dialect == "sqlite":
        if any(mark.name not in {"", "?"} for mark in marks):
            raise ToolRetry("write parameters as ?, in the order of `parameters`")
        return
    numbers = {mark.name for mark in tree.find_all(exp.Parameter)}
    if marks or not numbers <= {str(number) for number in range(1, parameters + 1)}:
        raise ToolRetry(
            f"write parameters as $1, $2 …, one for each of the {parameters} in `parameters`"
        )
    if len(numbers) != parameters:
        raise ToolRetry(f"{parameters} parameters are given, and {len(numbers)} are used")
