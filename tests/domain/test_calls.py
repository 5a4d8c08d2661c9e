"""What a call may hold, so that it can be sent."""

import pytest

from taskyard.domain.calls import MAX_HEADER_NAME_LENGTH, MAX_HEADERS, MAX_URL_CHARACTERS, check_headers, check_query
from taskyard.domain.errors import Invalid

URL = "https://example.com/a"


def test_the_most_that_can_be_sent() -> None:
    check_headers({f"X-{number}": "a\tb" for number in range(MAX_HEADERS)})
    check_headers({"X" * MAX_HEADER_NAME_LENGTH: "ä"})
    check_query(URL, {"a": "x" * (MAX_URL_CHARACTERS - len(f"{URL}?a="))})


@pytest.mark.parametrize(
    "headers",
    [
        {f"X-{number}": "" for number in range(MAX_HEADERS + 1)},
        {"X" * (MAX_HEADER_NAME_LENGTH + 1): ""},
        {"": ""},
        {"X Y": ""},
        {"X\n": ""},
        {"X": "hush\r\nY: z"},
        {"X": "hush\x7f"},
        {"X": "hush\0"},
        {"X": "hush\ud800"},
    ],
)
def test_headers_that_cannot_be_sent(headers: dict[str, str]) -> None:
    with pytest.raises(Invalid) as caught:
        check_headers(headers)
    assert caught.value.field == "headers"
    assert "hush" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "query"),
    [
        (URL, {"a": "x" * (MAX_URL_CHARACTERS - len(f"{URL}?a=") + 1)}),
        (URL, {"a": "ä" * (MAX_URL_CHARACTERS // 6)}),
        (URL, {"\ud800": "b"}),
        (URL + "ä" * (MAX_URL_CHARACTERS // 6), {"a": "b"}),
    ],
)
def test_queries_that_cannot_be_sent(url: str, query: dict[str, str]) -> None:
    with pytest.raises(Invalid) as caught:
        check_query(url, query)
    assert caught.value.field == "query_params"
