"""OpenAPI documents: one per face, and their union for the one port."""

import re
from collections.abc import Mapping
from typing import Any, cast

from fastapi import FastAPI

from taskyard.faces.kit.names import FaceName

Spec = dict[str, Any]

_REFERENCE = re.compile(r"#/components/(\w+)/([^\"/]+)")
_AUTOMATIC = ("HTTPValidationError", "ValidationError")
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})


def own_refusals(app: FastAPI) -> None:
    """Let the face's document show its own refusals: FastAPI adds its own idea of a validation error, and gives
    refusals the media type of the route's success, which need not be JSON.
    """
    generate = app.openapi

    def openapi() -> Spec:
        if app.openapi_schema is None:
            app.openapi_schema = _corrected(generate())
        return app.openapi_schema

    app.openapi = openapi


def _corrected(spec: Spec) -> Spec:
    for operations in spec.get("paths", {}).values():
        for operation in operations.values():
            answers = operation.get("responses", {})
            if _AUTOMATIC[0] in str(answers.get("422", "")):
                del answers["422"]
            for status, answer in answers.items():
                if status >= "400" and "content" in answer:
                    answer["content"] = {"application/json": next(iter(answer["content"].values()))}
    for name in _AUTOMATIC:
        spec.get("components", {}).get("schemas", {}).pop(name, None)
    _make_bounds_exact(spec)
    return spec


def _make_bounds_exact(schema: Any) -> None:
    """FastAPI makes floats of whole numbers' bounds, and a float of 64 bits is written as another number."""
    if isinstance(schema, list):
        for member in cast("list[Any]", schema):
            _make_bounds_exact(member)
    if isinstance(schema, dict):
        known = cast("Spec", schema)
        for bound in _BOUNDS & known.keys() if known.get("type") == "integer" else ():
            known[bound] = int(known[bound])
        for member in known.values():
            _make_bounds_exact(member)


def union(house: Spec, specs: Mapping[FaceName, Spec], *, title: str, version: str) -> Spec:
    """One document of the house's own paths and all faces. Where two document the same path and method, which OpenAPI
    forbids, the later one is shown under its own prefix, where it answers as well. Components carry their face's name.
    """
    whole: Spec = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": dict(house["paths"]),
        "components": {kind: dict(members) for kind, members in house["components"].items()},
        "tags": [{"name": name} for name in ("house", *(face.value for face in specs))],
    }
    taken: dict[str, str] = {path: path for path in house["paths"]}
    for face, spec in specs.items():
        renamed = _prefixed(spec, face)
        for kind, members in renamed.get("components", {}).items():
            whole["components"].setdefault(kind, {}).update(members)
        for path, operations in renamed.get("paths", {}).items():
            _add_path(whole["paths"], taken, face, path, operations)
    return whole


def _add_path(paths: Spec, taken: dict[str, str], face: FaceName, path: str, operations: Spec) -> None:
    shape = re.sub(r"\{[^}]*\}", "{}", path).rstrip("/") or "/"
    known = taken.setdefault(shape, path)
    if known != path or not paths.get(path, {}).keys().isdisjoint(operations):
        paths[f"/faces/{face.value}{path}"] = operations
    else:
        paths.setdefault(path, {}).update(operations)


def _prefixed(spec: Spec, face: FaceName) -> Spec:
    """A copy of `spec` whose names cannot meet those of another face."""
    copy = _rename(spec, face)
    copy["components"] = {
        kind: {_own(name, face): member for name, member in members.items()}
        for kind, members in copy.get("components", {}).items()
    }
    for operations in copy.get("paths", {}).values():
        for operation in operations.values():
            operation["tags"] = [face.value]
            operation["operationId"] = f"{face.value}_{operation['operationId']}"
            if "security" in operation:
                operation["security"] = [
                    {_own(name, face): scopes for name, scopes in each.items()} for each in operation["security"]
                ]
    return copy


def _own(name: str, face: FaceName) -> str:
    return f"{face.value.capitalize()}{name}"


def _rename(value: Any, face: FaceName) -> Any:
    if isinstance(value, dict):
        return {key: _rename(member, face) for key, member in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_rename(member, face) for member in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: f"#/components/{found[1]}/{_own(found[2], face)}", value)
    return value
