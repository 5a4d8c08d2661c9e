"""Every face has an answer to every error."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from taskyard.domain import errors
from taskyard.domain.errors import TaskyardError
from taskyard.faces.assistant.errors import MANNERS as ASSISTANT
from taskyard.faces.door import FACES
from taskyard.faces.kit.errors import Manners
from taskyard.faces.kit.faults import FORMATS, Fault, Issue
from taskyard.faces.kit.names import FaceName
from taskyard.faces.scheduler.errors import MANNERS as SCHEDULER

ALL: Mapping[FaceName, Manners] = {FaceName.ASSISTANT: ASSISTANT, FaceName.SCHEDULER: SCHEDULER}


def leaves(kind: type[TaskyardError]) -> list[type[TaskyardError]]:
    below = [leaf for child in kind.__subclasses__() for leaf in leaves(child)]
    return below or [kind]


def sample(kind: type[TaskyardError]) -> TaskyardError:
    return errors.NotFound("job", "7") if kind is errors.NotFound else kind("It went wrong")  # pyright: ignore[reportCallIssue]


def test_every_built_face_is_looked_at() -> None:
    assert ALL.keys() == FACES.keys()


@pytest.mark.parametrize("face", ALL)
@pytest.mark.parametrize("leaf", leaves(TaskyardError))
def test_every_leaf_is_in_every_table(face: FaceName, leaf: type[TaskyardError]) -> None:
    assert leaf in ALL[face].statuses
    fault = ALL[face].fault(sample(leaf))
    assert 400 <= fault.status < 600
    assert json.dumps(ALL[face].render(fault))


def test_the_scheduler_never_answers_429() -> None:
    assert 429 not in SCHEDULER.statuses.values()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.Invalid("no", field="name"), 400, "VALIDATION_ERROR"),
        (errors.Invalid("no", code="SOME_CODE"), 400, "VALIDATION_ERROR"),
        (errors.Invalid("no", code="INVALID_CRON_EXPRESSION"), 400, "INVALID_CRON_EXPRESSION"),
        (errors.Unauthenticated("no", code="ACCOUNT_DISABLED"), 401, "UNAUTHORIZED"),
        (errors.Forbidden("no", code="OTHER"), 403, "FORBIDDEN"),
        (errors.NotFound("job", 1), 404, "JOB_NOT_FOUND"),
        (errors.NotFound("call", 1), 404, "WEBHOOK_NOT_FOUND"),
        (errors.Unavailable("no", code="OTHER"), 500, "DATABASE_ERROR"),
    ],
)
def test_the_codes_of_d3(error: TaskyardError, status: int, code: str) -> None:
    fault = SCHEDULER.fault(error)
    assert SCHEDULER.render(fault) == {"detail": fault.message, "error_code": code, "status_code": status}
    assert "call" not in fault.message.lower()


def test_d4_lists_what_is_wrong_with_fields_and_tells_the_rest_plainly() -> None:
    listed = ASSISTANT.render(ASSISTANT.fault(errors.Invalid("too short", field="password")))
    assert listed["detail"] == [{"loc": ["body", "password"], "msg": "too short", "type": "value_error"}]
    plain = ASSISTANT.fault(errors.Invalid("set OPENAI_API_KEY", code="PROVIDER_NOT_CONFIGURED"))
    assert (plain.status, ASSISTANT.render(plain)["detail"]) == (400, "set OPENAI_API_KEY")


FAULT = Fault(422, "SOME_CODE", "No", {"field": "f"}, (Issue(("body", "f"), "no", "t"),), request_id="r1")


@pytest.mark.parametrize(
    ("face", "expected"),
    [
        (FaceName.PLANNER, {"error": {"code": "SOME_CODE", "message": "No", "details": {"field": "f"}}}),
        (
            FaceName.WORKBENCH,
            {
                "data": None,
                "error": {"code": "SOME_CODE", "message": "No", "details": {"field": "f"}},
                "meta": {"request_id": "r1", "version": "1.0.0"},
            },
        ),
        (FaceName.TRACKER, {"error": {"code": "SOME_CODE", "message": "No", "details": {"field": "f"}}}),
        (FaceName.SCHEDULER, {"detail": "No", "error_code": "SOME_CODE", "status_code": 422}),
        (
            FaceName.ASSISTANT,
            {"detail": [{"loc": ["body", "f"], "msg": "no", "type": "t"}], "error_code": "SOME_CODE"},
        ),
    ],
)
def test_the_five_formats(face: FaceName, expected: dict[str, Any]) -> None:
    body = FORMATS[face](FAULT)
    timed = body["meta"] if face is FaceName.WORKBENCH else body
    assert (timed.pop("timestamp", "Z")).endswith("Z")
    assert body == expected
