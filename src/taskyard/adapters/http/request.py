"""From what a person wrote (URL, method, headers, body) to a request that is safe to send."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import httpx2

from taskyard.domain.calls import MAX_URL_CHARACTERS, check_headers, check_query
from taskyard.domain.errors import Invalid
from taskyard.domain.urls import is_host

_METHOD = re.compile(r"[A-Z][A-Z-]{0,19}")

# Who is called and where the message ends is decided by the client, never by a header of the user; the rest is
# hop-by-hop (RFC 9110 §7.6.1) or changes how the answer is framed.
DROPPED_HEADERS = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "http2-settings",
    }
)
# CONNECT would make a tunnel, TRACE echoes credentials.
_REFUSED_METHODS = frozenset({"CONNECT", "TRACE"})


def parse_url(text: str) -> httpx2.URL:
    """An absolute http or https URL with a plain host. Raises Invalid (field `url`)."""
    if len(text) > MAX_URL_CHARACTERS:
        raise Invalid(f"url is longer than {MAX_URL_CHARACTERS} characters", field="url")
    try:
        url = httpx2.URL(text.strip())
    except (httpx2.InvalidURL, ValueError) as error:
        raise Invalid("url is not a valid URL", field="url") from error
    if url.scheme not in {"http", "https"}:
        raise Invalid("url must start with http:// or https://", field="url")
    host = url.raw_host.decode("ascii", "replace")
    if not host:
        raise Invalid("url has no host", field="url")
    if not is_host(host):
        raise Invalid("url has a host that is no host name", field="url")
    if url.port is not None and not 1 <= url.port <= 65535:
        raise Invalid("url has a port outside 1 to 65535", field="url")
    return url


def parse_method(text: str) -> str:
    """The method in upper case. Raises Invalid (field `method`)."""
    method = text.strip().upper()
    if not _METHOD.fullmatch(method) or method in _REFUSED_METHODS:
        raise Invalid(f"method {text[:40]!r} cannot be called", field="method")
    return method


def _basic_credentials(url: httpx2.URL) -> str | None:
    if not url.userinfo:
        return None
    name, _, password = url.userinfo.partition(b":")
    return "Basic " + base64.b64encode(unquote_to_bytes(name) + b":" + unquote_to_bytes(password)).decode()


def parse_headers(given: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """Headers as they go on the wire, without those the client decides itself. Raises Invalid (field `headers`)."""
    check_headers(given)
    return [(name, value.strip().encode()) for name, value in given.items() if name.lower() not in DROPPED_HEADERS]


def _content_type(body: bytes) -> str:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return "text/plain; charset=utf-8"
    return "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """What goes on the wire, checked."""

    method: str
    url: httpx2.URL
    headers: tuple[tuple[str, bytes], ...]
    body: bytes | None


def build_request(
    url: str,
    method: str,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    body: bytes | None,
) -> Request:
    """A request fit for the guarded client.

    User name and password in the URL become an Authorization header unless one is given. A body without a
    Content-Type is JSON when it parses as JSON, else plain text. Raises Invalid naming the field.
    """
    target = parse_url(url)
    check_query(url, query)
    fields = parse_headers(headers)
    given = {name.lower() for name, _ in fields}
    credentials = _basic_credentials(target)
    if credentials and "authorization" not in given:
        fields.append(("Authorization", credentials.encode()))
    if body and "content-type" not in given:
        fields.append(("Content-Type", _content_type(body).encode()))
    target = target.copy_with(userinfo=b"", fragment=None)
    target = target.copy_merge_params(dict(query)) if query else target
    return Request(parse_method(method), target, tuple(fields), body)
