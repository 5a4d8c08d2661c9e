"""Addresses: which are taken, and how much of one is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard.domain.errors import Invalid
from taskyard.domain.urls import check_url, without_secrets

LIMIT = 2000


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:9000/hook",
        "https://example.com",
        "https://user:pw@example.com/a?b=c",
        "http://[::1]:80/x",
        "http://bücher.de/",
        "http://a_b.local",
    ],
)
def test_absolute_web_addresses_pass(url: str) -> None:
    assert check_url(url, limit=LIMIT) == url


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.com/x", "/relative", "//example.com/x", "ftp://example.com", "file:///etc/passwd", "http://"),
        *("javascript:alert(1)", "http:///path", "http://example.com:0/", "http://example.com:99999/", "http://[::1"),
        *("http://exa mple.com/", "http://example.com/a\r\nX: y", "http://example.com/\0", "http://x/" + "a" * LIMIT),
        *("http://example.com/\x7f", "http://example.com/\ud800", "http://:80/", "http://user@/"),
        *("http://%31/", "http://a|b/", "http://a\\b/", "http://127.0.0.1%00.example.com/", f"http://{'a' * 254}/"),
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_url(url, limit=LIMIT)
    assert caught.value.field == "url"


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for url in (text, f"http://{text}", f"http://example.com/{text}"):
        try:
            assert check_url(url, limit=LIMIT) == url
        except Invalid:
            continue


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:p%40ss@example.com:8443/a?key=1#top", "https://example.com:8443/a"),
        ("http://me@[::1]:80", "http://[::1]:80"),
        ("https://example.com/a/b;c", "https://example.com/a/b;c"),
    ],
)
def test_what_is_shown_of_an_address_opens_nothing(url: str, shown: str) -> None:
    assert without_secrets(url) == shown
