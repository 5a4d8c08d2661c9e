"""What an HTTP call of a job may hold, so that it can be sent, and how much of it is shown to whom."""

import re
import string
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, urlencode

from taskyard.domain.actors import VEIL, Actor, Permission, veiled
from taskyard.domain.errors import Invalid
from taskyard.domain.jobs import Call
from taskyard.domain.texts import check_text
from taskyard.domain.urls import without_secrets

MAX_HEADERS = 100
MAX_HEADER_NAME_LENGTH = 256
MAX_URL_CHARACTERS = 8192
"""Of an address with its query, as it goes on the wire."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# A tab is the only control character a field value may hold (RFC 9110 §5.5); CR and LF would start another field.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def check_header_name(name: str) -> str:
    """`name`, or `Invalid` unless it is a token (RFC 9110 §5.1) of at most `MAX_HEADER_NAME_LENGTH` characters."""
    if not _TOKEN.fullmatch(name):
        raise Invalid(f"headers: {name[:40]!r} is no header name", field="headers")
    if len(name) > MAX_HEADER_NAME_LENGTH:
        raise Invalid(f"headers: a name may have {MAX_HEADER_NAME_LENGTH} characters", field="headers")
    return name


def check_header_value(value: str) -> str:
    """`value`, or `Invalid` unless it is one line of text. The sentence never shows it."""
    if _CONTROL.search(check_text(value, "headers")):
        raise Invalid("headers: a value must be one line of text without control characters", field="headers")
    return value


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises `Invalid` (field `headers`) for too many of them, and for a bad name or value."""
    if len(headers) > MAX_HEADERS:
        raise Invalid(f"headers has more than {MAX_HEADERS} entries", field="headers")
    for name, value in headers.items():
        _ = check_header_name(name), check_header_value(value)


def check_query(url: str, query: Mapping[str, str]) -> None:
    """Raises `Invalid` (field `query_params`) for what is no text, and when `url` becomes too long with it."""
    for word in (part for pair in query.items() for part in pair):
        _ = check_text(word, "query_params")
    if len(quote(url, safe=string.punctuation)) + len("?") + len(urlencode(query)) > MAX_URL_CHARACTERS:
        message = f"query_params makes the url longer than {MAX_URL_CHARACTERS} characters"
        raise Invalid(message, field="query_params")


def as_seen_by(actor: Actor, call: Call) -> Call:
    """`call` without what may be a key, unless `actor` could have written it: user, password and query of its url,
    the values of its headers and query, its body.
    """
    if Permission.WRITE in actor.permissions:
        return call
    return replace(
        call,
        url=without_secrets(call.url),
        headers=None if call.headers is None else veiled(call.headers, actor),
        query_params=None if call.query_params is None else veiled(call.query_params, actor),
        body_template=None if call.body_template is None else VEIL,
    )
