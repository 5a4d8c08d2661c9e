"""Errors as D4 documents them."""

from pydantic import BaseModel

from taskyard.faces.kit.wire import Moment


class Problem(BaseModel):
    """D4-X00."""

    detail: str
    error_code: str
    timestamp: Moment


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    loc: list[str | int]
    msg: str
    type: str


class ValidationProblem(BaseModel):
    """D4-X01."""

    detail: list[FieldProblem]
    error_code: str
    timestamp: Moment


class LimitProblem(Problem):
    """D4-X02; `retry_after` is in seconds."""

    retry_after: int
