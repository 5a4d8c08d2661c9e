"""The filters and tests of body templates; named and used as Jinja2's own, with bounded results."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import quote

from jinja2 import Undefined, pass_context
from jinja2.runtime import Context
from jinja2.tests import TESTS as JINJA_TESTS

from taskyard.domain.templates.language import Budget, as_json, budget_of, check_stripped, measure, text_of

MAX_PRECISION = 15
# The space keeps templates from naming these two.
CONCAT = " concat"
METERED = " metered"


def _paid(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that pays for what it reads and for what it makes (which is never much more than what it reads)."""

    @pass_context
    @functools.wraps(function)
    def paying(context: Context, *args: Any, **kwargs: Any) -> Any:
        budget = budget_of(context)
        measure([*args, *kwargs.values()], budget)
        made = function(*args, **kwargs)
        if isinstance(made, str):
            budget.pay(len(made))
        return made

    return paying


def _paid_before(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose result can be far larger than its input: it takes the budget and pays before it works."""

    @pass_context
    @functools.wraps(function)
    def paying(context: Context, *args: Any, **kwargs: Any) -> Any:
        budget = budget_of(context)
        measure([*args, *kwargs.values()], budget)
        return function(budget, *args, **kwargs)

    return paying


def _default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    return default_value if isinstance(value, Undefined) or (boolean and not value) else value


def _int(value: Any, default: int = 0) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return default


def _float(value: Any, default: float = 0.0) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return default


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    if abs(precision) > MAX_PRECISION:
        raise ValueError("precision is too large")
    if method == "common":
        return round(value, precision)
    whole = {"ceil": math.ceil, "floor": math.floor}[method]
    return whole(value * 10**precision) / 10**precision


def _sequence(value: Any) -> Any:
    if isinstance(value, str | list | tuple):
        return cast("Any", value)
    raise TypeError("not a text or list")


def _first(value: Any) -> Any:
    return _sequence(value)[0]


def _last(value: Any) -> Any:
    return _sequence(value)[-1]


def _on_text(change: Callable[[str], str]) -> Callable[[Any], str]:
    def changed(value: Any) -> str:
        return change(text_of(value))

    return changed


def _trim(value: Any, chars: str | None = None) -> str:
    check_stripped(chars)
    return text_of(value).strip(chars)


def _length(value: Any) -> int:
    return len(cast("Mapping[Any, Any]", value)) if isinstance(value, Mapping) else len(_sequence(value))


def _urlencode(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return "&".join(f"{quote(text_of(key), safe='')}={quote(text_of(each), safe='')}" for key, each in pairs)
    return quote(text_of(value))


def _join(budget: Budget, value: Any, d: str = "") -> str:
    parts = [text_of(each) for each in _sequence(value)]
    budget.pay(sum(map(len, parts)) + len(d) * len(parts))
    return d.join(parts)


def _replace(budget: Budget, value: Any, old: str, new: str, count: int | None = None) -> str:
    text = text_of(value)
    found = text.count(old)
    times = found if count is None or count < 0 else min(count, found)
    budget.pay(len(text) + times * max(len(new) - len(old), 0))
    return text.replace(old, new, times)


def _concat(budget: Budget, values: list[Any]) -> str:
    return _join(budget, values)


def _metered(value: Any) -> Any:
    return value


FILTERS: Mapping[str, Callable[..., Any]] = {
    "abs": _paid(abs),
    "capitalize": _paid(_on_text(str.capitalize)),
    "count": _paid(_length),
    "d": _paid(_default),
    "default": _paid(_default),
    "first": _paid(_first),
    "float": _paid(_float),
    "int": _paid(_int),
    "join": _paid_before(_join),
    "last": _paid(_last),
    "length": _paid(_length),
    "lower": _paid(_on_text(str.lower)),
    "replace": _paid_before(_replace),
    "round": _paid(_round),
    "string": _paid(text_of),
    "title": _paid(_on_text(str.title)),
    "tojson": _paid(as_json),
    "trim": _paid(_trim),
    "upper": _paid(_on_text(str.upper)),
    "urlencode": _paid(_urlencode),
}
INNER_FILTERS: Mapping[str, Callable[..., Any]] = {CONCAT: _paid_before(_concat), METERED: _paid(_metered)}
TESTS: Mapping[str, Callable[..., Any]] = {
    name: JINJA_TESTS[name]
    for name in (
        "boolean",
        "defined",
        "even",
        "false",
        "float",
        "integer",
        "mapping",
        "none",
        "number",
        "odd",
        "sequence",
        "string",
        "true",
        "undefined",
    )
}
