"""How values look on the wire."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import BaseModel, Field, ValidationError

from taskyard.faces.kit.errors import MAX_ISSUES, issues_of
from taskyard.faces.kit.faults import Issue
from taskyard.faces.kit.wire import MAX_ENTRIES, Email, Entries, Moment, Text


class Shape(BaseModel):
    at: Moment | None = None
    text: Text = ""
    email: Email = "a@example.com"
    entries: Entries[Text, Text] = Field(default_factory=dict[str, str])
    flags: list[bool] = Field(default_factory=list[bool])


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


def test_an_object_with_too_many_entries_is_refused_before_they_are_looked_at() -> None:
    most = {str(number): "" for number in range(MAX_ENTRIES)}
    assert Shape(entries=most).entries == most
    with pytest.raises(ValidationError) as refused:
        Shape.model_validate({"entries": {**most, "one more": 5}})
    assert [(issue.loc, issue.type) for issue in issues_of(refused.value.errors())] == [(("entries",), "too_long")]


def test_of_many_issues_the_first_are_told() -> None:
    with pytest.raises(ValidationError) as refused:
        Shape.model_validate({"flags": ["?"] * 1000})
    assert [issue.loc[1] for issue in issues_of(refused.value.errors())] == list(range(MAX_ISSUES))


@pytest.mark.parametrize("address", ["a@example.com", "owner@yard.local", "me@localhost", "é@exämple.de"])
def test_addresses(address: str) -> None:
    assert Shape(email=address).email == address


@pytest.mark.parametrize("address", ["", "no", "@example.com", "a@", "a b@example.com", "a@b\0.com", "a@exa mple.com"])
def test_no_addresses(address: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Shape(email=address)
    found = refused.value.errors()[0]
    assert (found["msg"], found["type"]) == ("value is not a valid email address", "value_error.email")
