"""Addresses in settings: of the database, of Redis, of pages that may call, of proxies that are believed.

Each function answers with the address as the rest of the program wants it, or raises ValueError with a sentence that
never repeats what may hold a password.
"""

from ipaddress import ip_network
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

_DATABASE_FORM = "use postgresql://user:password@host/name or sqlite:///path"
_REDIS_FORM = "use redis://:password@host:6379/0 or rediss://"
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_POSTGRES_PARAMETERS = ("sslmode", "host", "port", "user", "password", "passfile", "target_session_attrs")
_REDIS_PARAMETERS = (
    *("db", "username", "password", "protocol", "client_name", "health_check_interval", "max_connections"),
    *("ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"),
)


def database(url: str) -> str:
    """`url` with the asynchronous driver for its database."""
    scheme, separator, rest = url.partition("://")
    backend = scheme.split("+")[0]
    if backend == "sqlite" and separator:
        return f"sqlite+aiosqlite://{_sqlite(rest)}"
    if backend not in ("postgres", "postgresql", "sqlite") and separator:
        raise ValueError(f"{backend} is not supported; {_DATABASE_FORM}")
    parts = _parts(url)
    if not separator or not parts.path.strip("/"):
        raise ValueError(f"not a database address; {_DATABASE_FORM}")
    _check_port(parts)
    query = _postgres_query(parts.query)
    return f"postgresql+asyncpg://{parts.netloc}{parts.path}{'?' if query else ''}{query}"


def redis(url: str) -> str:
    """`url` unchanged when the client can use it."""
    parts = _parts(url)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError(f"not a Redis address; {_REDIS_FORM}")
    number = parts.path.strip("/")
    if parts.scheme != "unix":
        _check_port(parts)
        if number and not (number.isascii() and number.isdigit()):
            raise ValueError(f"the database of Redis is a number; {_REDIS_FORM}")
    _check_parameters(parse_qsl(parts.query, keep_blank_values=True), _REDIS_PARAMETERS)
    return url


def origin(text: str) -> str:
    """The origin of pages as browsers write it. Never `*`: whoever may call with credentials is named."""
    parts = _parts(text)
    try:
        named = bool(parts.scheme and parts.hostname and parts.port != 0)
    except ValueError:
        named = False
    bare = f"{parts.scheme}://{parts.netloc}".lower()
    if not named or bare != text.lower() or set(text) & {"*", "@"} or not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} is not an origin; write https://host or https://host:port, and never *")
    return bare


def proxy(text: str) -> str:
    """The address or the network of a proxy, or `*` for whoever calls."""
    try:
        return text if text == "*" else str(ip_network(text)).removesuffix("/32").removesuffix("/128")
    except ValueError:
        raise ValueError(
            f"{text!r} is neither an IP address nor a network; write 10.0.0.7, 10.0.0.0/24 or * for everybody"
        ) from None


def _sqlite(rest: str) -> str:
    if not rest.partition("?")[0].strip("/") or ":memory:" in rest:
        raise ValueError(
            "SQLite in memory cannot hold a yard, as each connection would see another one; use sqlite:///path"
        )
    if "?" in rest:
        raise ValueError("an address of SQLite takes no parameters; use sqlite:///path")
    if not rest.startswith("/"):
        raise ValueError("write three slashes before a path, four before an absolute one: sqlite:///path")
    return rest


def _postgres_query(query: str) -> str:
    # asyncpg knows `sslmode` as `ssl`, and an address may say either.
    given = [("sslmode" if name == "ssl" else name, value) for name, value in parse_qsl(query, keep_blank_values=True)]
    _check_parameters(given, _POSTGRES_PARAMETERS)
    for name, value in given:
        if name == "sslmode" and value not in _SSL_MODES:
            raise ValueError(f"sslmode must be one of {', '.join(_SSL_MODES)}")
        if name == "port" and not _is_port(value):
            raise ValueError("the port must be a number from 1 to 65535")
    return urlencode([("ssl" if name == "sslmode" else name, value) for name, value in given])


def _parts(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError("not an address; write / @ : [ ] # in a password as %2F %40 %3A %5B %5D %23") from None


def _check_port(parts: SplitResult) -> None:
    try:
        usable = parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(
            "the port must be a number from 1 to 65535; write / @ : # in a password as %2F %40 %3A %23"
        ) from None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 1 <= int(text) <= 65535


def _check_parameters(given: list[tuple[str, str]], known: tuple[str, ...]) -> None:
    for name, _ in given:
        if name not in known:
            raise ValueError(f"the parameter {name!r} is not supported; only {', '.join(known)}")
