"""The sandbox that expressions run in: narrower than Jinja's own, and pure.

An explicit list of filters and methods, numbers alone may be multiplied, nothing grows without
bound, and there is neither clock nor chance.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sized
from contextvars import ContextVar
from datetime import UTC, datetime
from types import BuiltinMethodType
from typing import Any

from jinja2 import filters, pass_context
from jinja2.runtime import ChainableUndefined, Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from config.plain import Refused, bound_text, compact, to_json, to_text

MAX_RANGE = 1_000
MAX_POWER = 64
MAX_BASE = 1_000_000
MAX_DIGITS = 12
MAX_WORK = 5_000_000
"""Characters and items that one expression may go through: it runs between other people's steps."""

_left: ContextVar[int] = ContextVar("work_left", default=MAX_WORK)


def begin_work() -> None:
    """Let the expression that is evaluated now go through so much again."""
    _left.set(MAX_WORK)


def _work(*values: Any) -> None:
    """Count what is gone through; Refused when it is more than an expression may."""
    left = _left.get() - sum(1 + len(value) if isinstance(value, Sized) else 1 for value in values)
    _left.set(left)
    if left < 0:
        raise Refused(f"it goes through more than {MAX_WORK} characters and items")


METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(
        [
            "startswith",
            "endswith",
            "lower",
            "upper",
            "strip",
            "lstrip",
            "rstrip",
            "split",
            "splitlines",
            "title",
        ]
    ),
    dict: frozenset(["get", "keys", "values", "items"]),
    list: frozenset(["index", "count"]),
}
"""The methods of JSON values that an expression may call."""
METHOD_NAMES: frozenset[str] = frozenset().union(*METHODS.values())


class Missing(ChainableUndefined):
    """What a name without a value is: equal to none, smaller and greater than nothing."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, Undefined)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(None)

    def _never(self, _other: object) -> bool:
        return False

    __lt__ = __le__ = __gt__ = __ge__ = _never  # type: ignore[assignment]

    def _absorb(self, *_others: object) -> Missing:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _absorb  # type: ignore[assignment]
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _absorb  # type: ignore[assignment]
    __mod__ = __rmod__ = __pow__ = __rpow__ = __neg__ = __pos__ = _absorb  # type: ignore[assignment]

    def _no_number(self) -> Any:
        raise TypeError("there is no value")

    __int__ = __float__ = _no_number


def present(value: Any) -> Any:
    """Return the value; none becomes a missing value, which is as forgiving as one."""
    return Missing() if value is None else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Undefined)


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja with the doors that JSON does not need walled up."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Read a key; a method only where the value has one that is listed."""
        if isinstance(obj, Undefined):
            return obj
        if isinstance(obj, Mapping) and attribute in obj:
            return present(obj[attribute])
        for kind, names in METHODS.items():
            if isinstance(obj, kind) and attribute in names:
                return getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Read a key or an index; what is not there has no value."""
        if isinstance(obj, Undefined):
            return obj
        if not isinstance(obj, Mapping | list | tuple | str | range):
            return self.undefined(obj=obj, name=str(argument))
        try:
            return present(obj[argument])
        except (TypeError, LookupError, ValueError):
            return self.undefined(obj=obj, name=str(argument))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Nothing is reached by Jinja's own way of reading attributes."""
        return False

    def is_safe_callable(self, obj: Any) -> bool:
        """Only `range` and the listed methods of JSON values are called."""
        if obj is _range:
            return True
        return isinstance(obj, BuiltinMethodType) and any(
            isinstance(obj.__self__, kind) and obj.__name__ in names
            for kind, names in METHODS.items()
        )

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Keep every operator from growing its result without bound."""
        if operator == "+":
            if isinstance(left, str) and isinstance(right, str):
                bound_text(len(left) + len(right))
        elif not (_is_number(left) and _is_number(right)):
            raise Refused(f"{operator} takes numbers on both sides")
        elif operator == "**" and not (
            isinstance(left, Undefined)
            or isinstance(right, Undefined)
            or (abs(left) <= MAX_BASE and abs(right) <= MAX_POWER)
        ):
            raise Refused(f"** goes up to a power of {MAX_POWER}")
        return self.binop_table[operator](left, right)


def _range(*args: Any) -> list[int]:
    if not all(isinstance(arg, int) for arg in args):
        raise Refused("range takes whole numbers")
    numbers = range(*args)
    if len(numbers) > MAX_RANGE:
        raise Refused(f"range is limited to {MAX_RANGE} numbers")
    return list(numbers)


def _listing(function: Callable[..., Iterable[Any]]) -> Callable[..., list[Any]]:
    """Make a lazy filter give a list, so that `| length` and `| last` work on it."""

    @pass_context
    def listed(context: Context, *args: Any, **kwargs: Any) -> list[Any]:
        found: list[Any] = []
        for item in function(context, *args, **kwargs):
            _work(item)
            found.append(present(item))
        return found

    return listed


@pass_context
def _unique(context: Context, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
    return list(filters.do_unique(context.environment, value, *args, **kwargs))


def _items(value: Any) -> list[tuple[str, Any]]:
    return [] if isinstance(value, Undefined) else list(filters.do_items(value))


def _join(value: Iterable[Any], separator: str = "") -> str:
    texts = [to_text(to_json(item)) for item in value]
    separator = str(separator)
    bound_text(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _replace(value: Any, old: str, new: str) -> str:
    text = to_text(to_json(value))
    bound_text(len(text) + text.count(str(old)) * len(str(new)))
    return text.replace(str(old), str(new))


def _number(value: Any) -> float | None:
    if value is None or isinstance(value, Undefined):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"{value!r} is not a number")
    return float(value)


def _round(value: Any, digits: int = 0) -> float | int | None:
    number = _number(value)
    if number is None:
        return None
    if not isinstance(digits, int) or abs(digits) > MAX_DIGITS:
        raise Refused(f"round takes up to {MAX_DIGITS} digits")
    return round(number, digits) if digits else round(number)


def _list(value: Iterable[Any]) -> list[Any]:
    found = list(value)
    _work(found)
    return found


def _sum(value: Iterable[Any], start: Any = 0) -> Any:
    total = start
    for item in value:
        _work(total, item)
        total = total + item
    return total


def _in(value: Any, container: Container[Any]) -> bool:
    _work(container)
    return value in container


def _tojson(value: Any) -> str:
    return compact(to_json(value))


def duration(value: Any) -> str:
    """Say seconds as people do: `45 s`, `3 min`, `1 h 5 min`, `2 d 3 h`."""
    number = _number(value)
    if number is None:
        return ""
    seconds = round(abs(number))
    sign = "-" if number < 0 and seconds else ""
    if seconds < 60:
        return f"{sign}{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{sign}{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{sign}{hours} h {minutes} min" if minutes else f"{sign}{hours} h"
    days, hours = divmod(hours, 24)
    return f"{sign}{days} d {hours} h" if hours else f"{sign}{days} d"


def utc(value: Any) -> str:
    """Say a Unix time as the time of day in UTC: `21:30:05Z`."""
    number = _number(value)
    if number is None:
        return ""
    return datetime.fromtimestamp(number, UTC).strftime("%H:%M:%SZ")


def percent(value: Any, digits: int = 1) -> str:
    """Say a ratio in percent: `12.3 %`."""
    number = _number(value)
    return "" if number is None else f"{_round(number * 100, digits)} %"


_FILTERS: Mapping[str, Callable[..., Any]] = {
    "abs": lambda value: value if isinstance(value, Undefined) else abs(value),
    "capitalize": filters.do_capitalize,
    "count": lambda value: len(list(value)),
    "d": filters.do_default,
    "default": filters.do_default,
    "dictsort": filters.do_dictsort,
    "duration": duration,
    "first": lambda value: next(iter(value), Missing()),
    "float": filters.do_float,
    "int": filters.do_int,
    "items": _items,
    "join": _join,
    "last": lambda value: present(next(iter(list(value)[-1:]), None)),
    "length": lambda value: len(list(value)),
    "list": _list,
    "lower": filters.do_lower,
    "map": _listing(filters.sync_do_map),
    "max": filters.do_max,
    "min": filters.do_min,
    "percent": percent,
    "reject": _listing(filters.sync_do_reject),
    "rejectattr": _listing(filters.sync_do_rejectattr),
    "replace": _replace,
    "reverse": lambda value: value[::-1] if isinstance(value, str) else list(value)[::-1],
    "round": _round,
    "select": _listing(filters.sync_do_select),
    "selectattr": _listing(filters.sync_do_selectattr),
    "sort": filters.do_sort,
    "string": lambda value: to_text(to_json(value)),
    "sum": _sum,
    "title": filters.do_title,
    "tojson": _tojson,
    "trim": filters.do_trim,
    "truncate": filters.do_truncate,
    "unique": _unique,
    "upper": filters.do_upper,
    "utc": utc,
    "wordcount": filters.do_wordcount,
}


def _build() -> Sandbox:
    sandbox = Sandbox(
        undefined=Missing, optimized=False, keep_trailing_newline=True, autoescape=False
    )
    sandbox.globals.clear()
    sandbox.globals["range"] = _range
    sandbox.filters.clear()
    sandbox.filters.update(_FILTERS)
    sandbox.tests["in"] = _in
    sandbox.tests["none"] = lambda value: value is None or isinstance(value, Undefined)
    return sandbox


SANDBOX = _build()
