"""Body templates: Jinja2 in a sandbox, over `job`, `execution` and `scheduled_at` (RULINGS §5 D3).

People we do not know write these and our worker runs them, so the language is cut down to expressions and `if`.
Three walls, each enough by itself against escapes: only listed syntax, filters, tests and methods get through `check`;
Jinja2's immutable sandbox runs what is left; and every operation that makes or reads data pays from a budget (see
`language`), so that no template uses much time or memory.
"""

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.visitor import NodeTransformer

from taskyard.domain.errors import Invalid
from taskyard.domain.templates.filters import CONCAT, FILTERS, INNER_FILTERS, METERED, TESTS
from taskyard.domain.templates.language import (
    BUDGET,
    METHODS,
    Budget,
    BudgetSpent,
    SandboxEnvironment,
    write,
)

MAX_TEMPLATE_BYTES = 64 * 1024
MAX_OUTPUT_BYTES = 1024 * 1024
MAX_NODES = 2000
MAX_DEPTH = 40
MAX_TOKENS = 10_000
MAX_ISSUE_CHARACTERS = 300
NAMES = frozenset({"job", "execution", "scheduled_at"})

_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.If,
    nodes.CondExpr,
    nodes.Name,
    nodes.Const,
    nodes.List,
    nodes.Tuple,
    nodes.Dict,
    nodes.Pair,
    nodes.Keyword,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Slice,
    nodes.Call,
    nodes.Filter,
    nodes.Test,
    nodes.Compare,
    nodes.Operand,
    nodes.Concat,
    nodes.BinExpr,
    nodes.UnaryExpr,
)


def _environment() -> SandboxEnvironment:
    environment = SandboxEnvironment(
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
        optimized=False,
        finalize=write,
        cache_size=0,
    )
    environment.globals.clear()
    environment.filters = {**FILTERS, **INNER_FILTERS}
    environment.tests = dict(TESTS)
    return environment


_ENVIRONMENT = _environment()


def _invalid(issue: str, line: int | None = None) -> Invalid:
    place = f"line {line}: " if line else ""
    return Invalid(f"body template, {place}{issue[:MAX_ISSUE_CHARACTERS]}", field="body_template")


def _problem(node: nodes.Node) -> str | None:
    """What is wrong with `node` itself, in words, or None."""
    if not isinstance(node, _ALLOWED):
        return f"{type(node).__name__.lower()} is not allowed; use expressions and if"
    if isinstance(node, nodes.Name) and (node.ctx != "load" or node.name not in NAMES):
        return f"unknown name {node.name!r}; there are job, execution and scheduled_at"
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        return f"{node.attr!r} is not allowed"
    if isinstance(node, nodes.Filter | nodes.Test):
        return _filter_problem(node)
    return _call_problem(node) if isinstance(node, nodes.Call) else None


def _filter_problem(node: nodes.Filter | nodes.Test) -> str | None:
    kind, known = ("filter", FILTERS) if isinstance(node, nodes.Filter) else ("test", TESTS)
    if node.name not in known:
        return f"there is no {kind} {node.name!r}"
    return "* and ** arguments are not allowed" if node.dyn_args or node.dyn_kwargs else None


def _call_problem(node: nodes.Call) -> str | None:
    if not isinstance(node.node, nodes.Getattr) or node.node.attr not in METHODS:
        return f"only these methods can be called: {', '.join(sorted(METHODS))}"
    return "* and ** arguments are not allowed" if node.dyn_args or node.dyn_kwargs else None


def _inspect(tree: nodes.Template) -> None:
    """Raise Invalid for the first node that is not allowed. Walks without recursion: the depth is not yet known."""
    waiting: list[tuple[nodes.Node, int]] = [(tree, 0)]
    seen = 0
    while waiting:
        node, depth = waiting.pop()
        seen += 1
        if seen > MAX_NODES or depth > MAX_DEPTH:
            raise _invalid("it is too complex", node.lineno)
        if problem := _problem(node):
            raise _invalid(problem, node.lineno)
        waiting.extend((child, depth + 1) for child in reversed(list(node.iter_child_nodes())))


class _Metering(NodeTransformer):
    """Puts the budget into the operations that Jinja2 lets no environment intercept: `~`, comparing and slicing."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), CONCAT)

    def visit_Operand(self, node: nodes.Operand) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.expr = _filtered(node.expr, METERED)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.expr = _filtered(node.expr, METERED)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, METERED) if isinstance(node.arg, nodes.Slice) else node


def _filtered(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


@lru_cache(maxsize=128)
def _compiled(template: str) -> Template:
    try:
        # Parsing costs far more than reading tokens, and this much could not pass the inspection anyway.
        if next(islice(_ENVIRONMENT.lex(template), MAX_TOKENS, None), None):
            raise _invalid("it is too complex")
        tree = _ENVIRONMENT.parse(template)
        _inspect(tree)
        return _ENVIRONMENT.from_string(_Metering().visit(tree))
    except TemplateSyntaxError as error:
        raise _invalid(error.message or "syntax error", error.lineno) from None
    except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError):
        raise _invalid("it is too complex") from None


def _is_plain(template: str) -> bool:
    return "{{" not in template


def check(template: str) -> None:
    """Raise Invalid (field `body_template`), naming the line, when `template` can never be rendered."""
    try:
        size = len(template.encode())
    except UnicodeEncodeError:
        raise _invalid("it is not valid text") from None
    if size > (MAX_OUTPUT_BYTES if _is_plain(template) else MAX_TEMPLATE_BYTES):
        raise _invalid("it is too large: 64 KB with expressions, 1 MB without, is the most")
    if not _is_plain(template):
        _compiled(template)


def _rendered(template: str, context: Mapping[str, Any]) -> str:
    names = {name: context[name] for name in NAMES if name in context}
    parts: list[str] = []
    size = 0
    for part in _compiled(template).generate({**names, BUDGET: Budget()}):
        size += len(part.encode())
        if size > MAX_OUTPUT_BYTES:
            raise _invalid("the result is larger than 1 MB")
        parts.append(part)
    return "".join(parts)


def render(template: str, context: Mapping[str, Any]) -> str:
    """`template` filled in from `context`; text without `{{` comes back unchanged.

    Dates are written in ISO 8601, lists and mappings as JSON. Raises Invalid (field `body_template`) when the template
    is not allowed, uses something that is not there, or costs too much.
    """
    check(template)
    if _is_plain(template):
        return template
    try:
        return _rendered(template, context)
    except Invalid:
        raise
    except BudgetSpent as error:
        raise _invalid(str(error)) from None
    except TemplateError as error:
        raise _invalid(error.message or "it cannot be rendered") from None
    except Exception as error:  # whatever an expression over foreign data does is the template's fault
        raise _invalid(f"it cannot be rendered: {type(error).__name__}") from None
