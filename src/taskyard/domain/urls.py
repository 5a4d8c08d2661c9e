"""Addresses that people give: which are taken, and how much of one may be shown."""

import re
from urllib.parse import urlsplit, urlunsplit

from taskyard.domain.errors import Invalid

# Names in other scripts are written in ASCII on the way out (RFC 5891).
_HOST_NAME = re.compile(r"(?:[A-Za-z0-9._-]|[^\x00-\x7f]){1,253}")


def is_host(host: str) -> bool:
    """Whether `host` can be called: a name, or an address; one of IPv6 stands without its brackets."""
    return ":" in host or _HOST_NAME.fullmatch(host) is not None


def check_url(url: str, *, limit: int, field: str = "url") -> str:
    """`url`, or `Invalid` unless it is an absolute http(s) address of at most `limit` characters."""
    if len(url) > limit:
        raise Invalid(f"{field} must be at most {limit} characters", field=field)
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("http", "https") and is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        named = False
    if not named or " " in url or not url.isprintable():
        raise Invalid(f"{field} must be an absolute http or https URL", field=field)
    return url


def without_secrets(url: str) -> str:
    """`url` without user name, password, query and fragment, where keys and tokens travel: fit to be kept and shown."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
