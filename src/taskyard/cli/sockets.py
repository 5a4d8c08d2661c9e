"""The addresses a server listens on, opened before anything else starts, so that a taken port is told at once."""

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from taskyard.domain.errors import Invalid, Unavailable

BACKLOG = 2048
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - only to tell what the user chose


@dataclass(frozen=True, slots=True)
class Address:
    """A host (name or address) and a port; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parsed(text: str) -> Address:
    """The address in `HOST:PORT` or `[IPV6]:PORT`. Raises `Invalid`."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or (":" in host and not bracketed):
        raise Invalid(f"--bind {text}: write HOST:PORT, for example 127.0.0.1:8000 or [::1]:8000", field="bind")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise Invalid(f"--bind {text}: the port must be a number from 0 to 65535", field="bind")
    return Address(host[1:-1] if bracketed else host, int(port))


def listen_on(addresses: Sequence[Address]) -> list[socket.socket]:
    """A listening socket for each address; all of them or none. Raises `Unavailable` with what to do about it."""
    opened: list[socket.socket] = []
    try:
        opened.extend(_listen(address) for address in addresses)
    except BaseException:
        for each in opened:
            each.close()
        raise
    return opened


def _listen(address: Address) -> socket.socket:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise Unavailable(
            f"{address.host!r} is no address of this machine: use 127.0.0.1, 0.0.0.0 (everywhere) or one of its own",
            code="NO_SUCH_ADDRESS",
        ) from None
    # `localhost` means IPv4 first, as what is printed for it.
    family, kind, protocol, _, place = min(found, key=lambda each: each[0] != socket.AF_INET)
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(place)
        opened.listen(BACKLOG)
    except OSError as error:
        opened.close()
        raise _problem(address, error) from None
    opened.setblocking(False)
    return opened


def _problem(address: Address, error: OSError) -> Unavailable:
    match error.errno:
        case errno.EADDRINUSE:
            message = (
                f"Port {address.port} on {address.host} is taken: stop the program that listens there "
                f"(`ss -ltnp 'sport = :{address.port}'` names it), or choose another port with --port"
            )
            return Unavailable(message, code="PORT_TAKEN")
        case errno.EACCES:
            return Unavailable(
                f"Port {address.port} is reserved for administrators: choose one from 1024 on with --port",
                code="PORT_RESERVED",
            )
        case _:
            return Unavailable(
                f"Cannot listen on {address}: {error.strerror or error}; use 127.0.0.1 or an address of this machine",
                code="NO_SUCH_ADDRESS",
            )


def url_of(listening: socket.socket) -> str:
    """Where a browser on this machine finds the socket."""
    host, port = listening.getsockname()[:2]
    shown = _EVERYWHERE.get(host) or (f"[{host}]" if listening.family == socket.AF_INET6 else host)
    return f"http://{shown}:{port}"


def is_open_to_others(listening: socket.socket) -> bool:
    """Whether more than this machine can reach the socket."""
    return not ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback
