"""A refused request before it has a face's format, and the five formats (D0-X00 to D4-X00)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from taskyard.domain.times import iso
from taskyard.faces.kit.names import FaceName

API_VERSION = "1.0.0"


@dataclass(frozen=True, slots=True)
class Issue:
    """What is wrong with one part of a request: `loc` is the way to it, e.g. ("body", "email")."""

    loc: tuple[str | int, ...]
    msg: str
    type: str

    @property
    def where(self) -> str:
        """The part's name without the word that says where in the request it stands."""
        return ".".join(str(step) for step in self.loc[1:]) or ".".join(str(step) for step in self.loc)


@dataclass(frozen=True, slots=True)
class Fault:
    """One refusal: HTTP status, the face's code, a sentence for a person, machine-readable details.

    `issues` lists what is wrong with a request that was not valid; `retry_after` is in seconds.
    """

    status: int
    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    issues: tuple[Issue, ...] = ()
    retry_after: int | None = None
    request_id: str = ""


Render = Callable[[Fault], dict[str, Any]]


def as_planner(fault: Fault) -> dict[str, Any]:
    """D0-X00."""
    return {"error": {"code": fault.code, "message": fault.message, "details": dict(fault.details)}}


def as_workbench(fault: Fault) -> dict[str, Any]:
    """D1-B02; `meta` is always there (RULINGS §5 D1)."""
    error = {"code": fault.code, "message": fault.message, "details": dict(fault.details)}
    meta = {"timestamp": _now(), "request_id": fault.request_id, "version": API_VERSION}
    return {"data": None, "error": error, "meta": meta}


def as_tracker(fault: Fault) -> dict[str, Any]:
    """D2-X00."""
    return {**as_planner(fault), "timestamp": _now()}


def as_scheduler(fault: Fault) -> dict[str, Any]:
    """D3-X00."""
    return {"detail": fault.message, "error_code": fault.code, "status_code": fault.status}


def as_assistant(fault: Fault) -> dict[str, Any]:
    """D4-X00; what is not valid has the list form, limits say when to come back (D4-X01, X02)."""
    body: dict[str, Any] = {"detail": fault.message, "error_code": fault.code, "timestamp": _now()}
    if fault.status == 422:
        body["detail"] = [{"loc": list(issue.loc), "msg": issue.msg, "type": issue.type} for issue in fault.issues]
    if fault.retry_after is not None:
        body["retry_after"] = fault.retry_after
    return body


FORMATS: Mapping[FaceName, Render] = {
    FaceName.PLANNER: as_planner,
    FaceName.WORKBENCH: as_workbench,
    FaceName.TRACKER: as_tracker,
    FaceName.SCHEDULER: as_scheduler,
    FaceName.ASSISTANT: as_assistant,
}


def _now() -> str:
    return iso(datetime.now(UTC))
