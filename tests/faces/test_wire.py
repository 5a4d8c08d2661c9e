"""How values look on the wire."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import BaseModel, ValidationError

from taskyard.faces.kit.errors import issues_of
from taskyard.faces.kit.faults import Issue
from taskyard.faces.kit.wire import Email, Moment, Text


class Shape(BaseModel):
    at: Moment | None = None
    text: Text = ""
    email: Email = "a@example.com"


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (datetime(2024, 1, 2, 2, tzinfo=UTC), "2024-01-02T02:00:00Z"),
        (datetime(2024, 1, 2, 2, 0, 0, 5000, tzinfo=UTC), "2024-01-02T02:00:00.005000Z"),
        (datetime(2024, 1, 2, 3, tzinfo=timezone(timedelta(hours=1))), "2024-01-02T02:00:00Z"),
    ],
)
def test_times(at: datetime, expected: str) -> None:
    assert Shape(at=at).model_dump(mode="json")["at"] == expected


def test_no_text_holds_a_null_byte() -> None:
    with pytest.raises(ValidationError) as refused:
        Shape(text="a\0b")
    assert issues_of(refused.value.errors()) == [Issue(("text",), "null bytes are not allowed", "null_byte")]
    assert Shape(text="line\nline").text == "line\nline"


@pytest.mark.parametrize("address", ["a@example.com", "owner@yard.local", "me@localhost", "é@exämple.de"])
def test_addresses(address: str) -> None:
    assert Shape(email=address).email == address


@pytest.mark.parametrize("address", ["", "no", "@example.com", "a@", "a b@example.com", "a@b\0.com", "a@exa mple.com"])
def test_no_addresses(address: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Shape(email=address)
    found = refused.value.errors()[0]
    assert (found["msg"], found["type"]) == ("value is not a valid email address", "value_error.email")
