"""From what a person wrote (URL, method, headers, body) to a request that is safe to send."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import httpx2

from taskyard.domain.errors import Invalid

MAX_URL_CHARACTERS = 8192
MAX_HEADERS = 100

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_METHOD = re.compile(r"[A-Z][A-Z-]{0,19}")
_HOST_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")
# A tab is the only control character a field value may hold (RFC 9110 §5.5); CR and LF would start another field.
_UNSAFE_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

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
    if not _HOST_NAME.fullmatch(host) and ":" not in host:
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
    """Headers as they go on the wire, without those the client decides itself.

    Raises Invalid (field `headers`) for a name that is no token or a value with control characters; the sentence
    names the header and never shows its value.
    """
    if len(given) > MAX_HEADERS:
        raise Invalid(f"headers has more than {MAX_HEADERS} entries", field="headers")
    headers: list[tuple[str, bytes]] = []
    for name, value in given.items():
        if not _TOKEN.fullmatch(name):
            raise Invalid(f"headers has a name that is not allowed: {name[:40]!r}", field="headers")
        if _UNSAFE_VALUE.search(value):
            raise Invalid(f"headers: the value of {name} has a line break or control character", field="headers")
        if name.lower() in DROPPED_HEADERS:
            continue
        try:
            headers.append((name, value.strip().encode()))
        except UnicodeEncodeError as error:
            raise Invalid(f"headers: the value of {name} is not valid text", field="headers") from error
    return headers


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
    fields = parse_headers(headers)
    given = {name.lower() for name, _ in fields}
    credentials = _basic_credentials(target)
    if credentials and "authorization" not in given:
        fields.append(("Authorization", credentials.encode()))
    if body and "content-type" not in given:
        fields.append(("Content-Type", _content_type(body).encode()))
    target = target.copy_with(userinfo=b"", fragment=None)
    try:
        target = target.copy_merge_params(dict(query)) if query else target
    except (httpx2.InvalidURL, ValueError) as error:
        raise Invalid("query is not valid text", field="query") from error
    if len(str(target)) > MAX_URL_CHARACTERS:
        raise Invalid(f"query makes the url longer than {MAX_URL_CHARACTERS} characters", field="query")
    return Request(parse_method(method), target, tuple(fields), body)
