"""Which methods a path answers, for the `Allow` header of a 405 (RFC 9110 §15.5.6)."""

from functools import lru_cache
from re import Pattern

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path
from starlette.types import Scope

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def allowed_methods(app: FastAPI, scope: Scope) -> list[str]:
    """The methods of the path of `scope`. Of several templates that fit, such as `/things/{id}` and `/things/all`, the
    one with the fewest parameters is what the path is meant to be.
    """
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    found: dict[str, set[str]] = {}
    for route in iter_route_contexts(app.router.routes):
        if route.path is not None and route.methods and _pattern(route.path).match(path):
            found.setdefault(route.path, set()).update(route.methods)
    if not found:
        return []
    nearest = min(found, key=lambda template: template.count("{"))
    return [method for method in METHODS if method in found[nearest]]


@lru_cache(maxsize=1024)
def _pattern(template: str) -> Pattern[str]:
    return compile_path(template)[0]
