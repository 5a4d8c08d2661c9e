"""The sandbox body templates run in: operators and methods, each paying for the data it makes or reads."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from jinja2 import Undefined, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

BUDGET = " budget"
MAX_UNITS = 4 * 1024 * 1024
UNITS_PER_MEMBER = 40
"""What an entry of a list or mapping costs beside its own content, as measured against a character of a text."""
MAX_INTEGER_BITS = 4096
MAX_STRIPPED = 64

# Listed methods of listed types: everything else that could be called is refused. The values are the types.
METHODS: Mapping[str, tuple[type, ...]] = {
    "isoformat": (date,),
    "strftime": (date,),
    "date": (datetime,),
    "timestamp": (datetime,),
    "weekday": (date,),
    "isoweekday": (date,),
    "total_seconds": (timedelta,),
    "get": (Mapping,),
    "upper": (str,),
    "lower": (str,),
    "strip": (str,),
    "startswith": (str,),
    "endswith": (str,),
}
# Widths and flags (`%999999d`) are how a date format eats memory.
_DATE_FORMAT = re.compile(r"(?:[^%]|%[A-Za-z%]){0,200}")


class BudgetSpent(Exception):
    """The template made or read more data than one rendering may."""

    def __init__(self) -> None:
        super().__init__("it uses too much data")


class Budget:
    """Units (a character of a text is one) that one rendering may still use."""

    def __init__(self) -> None:
        self.left = MAX_UNITS

    def pay(self, units: float) -> None:
        """Raises BudgetSpent when there is not enough left."""
        self.left -= int(units) + 1
        if self.left < 0:
            raise BudgetSpent


def budget_of(context: Context) -> Budget:
    return cast("Budget", context[BUDGET])


def measure(value: object, budget: Budget) -> None:
    """Pay for reading the whole of `value`, however deep."""
    waiting: list[object] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str | bytes):
            budget.pay(len(item))
        elif isinstance(item, int):
            budget.pay(item.bit_length() / 3)
        elif isinstance(item, Mapping):
            entries = cast("Mapping[object, object]", item)
            budget.pay(len(entries) * UNITS_PER_MEMBER)
            waiting.extend(entries.keys())
            waiting.extend(entries.values())
        elif isinstance(item, list | tuple | set | frozenset):
            members = cast("list[object]", item)
            budget.pay(len(members) * UNITS_PER_MEMBER)
            waiting.extend(members)
        else:
            budget.pay(1)


def _plain(value: object) -> object:
    """`json.dumps`'s fallback: what is not JSON but has one plain spelling."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID | Decimal | timedelta):
        return str(value)
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))
    if isinstance(value, set | frozenset):
        return sorted(str(member) for member in cast("set[object]", value))
    if isinstance(value, Undefined):
        return str(value)
    raise SecurityError(f"a {type(value).__name__} cannot be written")


def as_json(value: object) -> str:
    """`value` as JSON; dates, UUIDs and decimals as text. Raises SecurityError for what is no plain data."""
    return json.dumps(value, ensure_ascii=False, default=_plain)


def text_of(value: object) -> str:
    """How a value is written into the body: as Jinja2 does, but dates as ISO 8601 and lists and mappings as JSON."""
    if isinstance(value, str | int | float | None):
        return str(value)
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return as_json(cast("object", value))
    return str(_plain(value))


@pass_context
def write(context: Context, value: object) -> str:
    """Write `value` into the output, paid for."""
    measure(value, budget_of(context))
    return text_of(value)


def check_stripped(chars: object = None) -> None:
    """Raises SecurityError for long `chars`: stripping looks through all of them for every character it takes."""
    if isinstance(chars, str) and len(chars) > MAX_STRIPPED:
        raise SecurityError(f"at most {MAX_STRIPPED} different characters can be stripped")


def _is_whole(value: object) -> bool:
    return isinstance(value, int)


def _multiply_cost(left: Any, right: Any) -> float:
    if _is_whole(left) and _is_whole(right):
        return _integer_cost(left.bit_length() + right.bit_length())
    for many, times in ((left, right), (right, left)):
        if isinstance(many, str | list | tuple) and _is_whole(times):
            each = 1 if isinstance(many, str) else UNITS_PER_MEMBER
            return len(cast("list[object]", many)) * max(times, 0) * each
    return 1


def _integer_cost(bits: int) -> float:
    if bits > MAX_INTEGER_BITS:
        raise BudgetSpent
    return bits / 3


def _power_cost(left: Any, right: Any) -> float:
    if _is_whole(left) and _is_whole(right):
        return _integer_cost(max(left.bit_length(), 1) * abs(right))
    return 1


_COSTS: Mapping[str, Callable[[Any, Any], float]] = {"*": _multiply_cost, "**": _power_cost}
_OPERANDS = (str, int, float, list, tuple, date, timedelta)


class SandboxEnvironment(ImmutableSandboxedEnvironment):
    """Jinja2's immutable sandbox with paid operators and a list of methods."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Raises BudgetSpent when the result would be too large, SecurityError for operands that are no plain data."""
        for operand in (left, right):
            if isinstance(operand, Undefined):
                str(operand)
            if not isinstance(operand, _OPERANDS):
                raise SecurityError(f"{operator} does not work on a {type(operand).__name__}")
        if operator == "%" and isinstance(left, str):
            raise SecurityError("% does not format text; use ~ and filters")
        budget = budget_of(context)
        measure(left, budget)
        measure(right, budget)
        budget.pay(_COSTS[operator](left, right) if operator in _COSTS else 1)
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A mapping's own keys come before its methods: `job.items` is the key."""
        if isinstance(obj, Mapping) and attribute in obj:
            return cast("Mapping[str, Any]", obj)[attribute]
        return super().getattr(obj, attribute)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """Raises SecurityError for anything but a listed method of a listed type."""
        name = getattr(__obj, "__name__", "")
        owner = getattr(__obj, "__self__", None)
        if name not in METHODS or not isinstance(owner, METHODS[name]):
            raise SecurityError("this cannot be called")
        if name == "strftime" and not all(_DATE_FORMAT.fullmatch(str(form)) for form in (*args, *kwargs.values())):
            raise SecurityError("strftime takes plain codes such as %Y-%m-%d")
        if name == "strip":
            check_stripped(*args, **kwargs)
        budget = budget_of(__context)
        # A look-up reads one entry, whatever the size of the mapping.
        measure([*args, *kwargs.values()] if name == "get" else [owner, *args, *kwargs.values()], budget)
        return __obj(*args, **kwargs)
