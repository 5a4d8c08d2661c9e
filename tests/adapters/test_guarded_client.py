"""The guarded client on real sockets: no spelling, name or redirect gets past the guard."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
from collections.abc import Generator
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from taskyard.adapters.http.client import HttpClients
from taskyard.adapters.http.guard import BlockedAddress
from taskyard.adapters.http.names import NameLookup
from taskyard.domain.runs import NetworkPolicy
from tests.adapters.receiver import Receiver, receiver

pytestmark = pytest.mark.anyio

PUBLIC_ONLY = NetworkPolicy(allow_private=False)
PRIVATE_TOO = NetworkPolicy(allow_private=True)


async def _refused(clients: HttpClients, policy: NetworkPolicy, url: str) -> None:
    with pytest.raises((BlockedAddress, httpx2.InvalidURL, httpx2.UnsupportedProtocol)):
        await clients.client(policy).get(url)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "017700000001",
        "0x7f.0x0.0x0.0x1",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "127。0。0。1",
        "user@127.0.0.1",
        "example.com@127.0.0.1",
        "0.0.0.0",
        "0",
        "[::]",
        "10.1.2.3",
        "167838211",
        "192.168.0.1",
        "[fd00::1]",
    ],
)
async def test_every_spelling_of_a_private_host_is_refused(clients: HttpClients, target: Receiver, host: str) -> None:
    await _refused(clients, PUBLIC_ONLY, f"http://{host}:{target.port}/")
    assert target.connections == 0


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0xA9.0xFE.0xA9.0xFE",
        "169.16689662",
        "025177524776",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "metadata.google.internal",
        "METADATA.google.internal.",
        "metadata.goog",
        "100.100.100.200",
        "instance-data.ec2.internal",
        "168.63.129.16",
        "0.0.0.0",
        "0",
        "[::]",
        "255.255.255.255",
    ],
)
async def test_metadata_is_refused_whatever_the_policy(clients: HttpClients, host: str) -> None:
    for policy in (PUBLIC_ONLY, PRIVATE_TOO):
        await _refused(clients, policy, f"http://{host}/latest/meta-data/")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/", "ws://127.0.0.1/", "/x"]
)
async def test_only_http_and_https_with_a_host(clients: HttpClients, url: str) -> None:
    with pytest.raises(httpx2.UnsupportedProtocol):
        await clients.client(PRIVATE_TOO).get(url)


async def test_private_is_reached_when_the_policy_allows(clients: HttpClients, target: Receiver) -> None:
    for host in ("127.0.0.1", "localhost", "2130706433", "127.1"):
        response = await clients.client(PRIVATE_TOO).get(target.url(host=host))
        assert response.text == "ok"


class Rebinding:
    """A name that is public when first asked and loopback ever after."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> list[str]:
        self.asked += 1
        return ["198.51.101.1"] if self.asked == 1 else ["127.0.0.1"]


@contextlib.contextmanager
def _connections_noted() -> Generator[list[object]]:
    """The peers that this thread's sockets are told to connect to, which then refuse."""
    noted: list[object] = []
    loop = asyncio.get_running_loop()
    original = loop.sock_connect

    async def note(sock: socket.socket, address: object) -> None:
        noted.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    loop.sock_connect = note  # type: ignore[method-assign, assignment]
    try:
        yield noted
    finally:
        loop.sock_connect = original  # type: ignore[method-assign]


async def test_a_name_that_changes_its_mind_gains_nothing(target: Receiver) -> None:
    resolve = Rebinding()
    async with HttpClients(resolve=resolve) as clients:
        with _connections_noted() as noted, pytest.raises(httpx2.ConnectError):
            await clients.client(PUBLIC_ONLY).get(target.url(host="rebind.test"))
        assert noted == [("198.51.101.1", target.port)]
        assert resolve.asked == 1
        with pytest.raises(BlockedAddress):
            await clients.client(PUBLIC_ONLY).get(target.url(host="rebind.test"))
    assert target.connections == 0


async def test_private_addresses_of_a_mixed_name_are_left_out(target: Receiver) -> None:
    async def mixed(host: str, port: int) -> list[str]:
        return ["127.0.0.1", "169.254.169.254", "198.51.101.1", "::ffff:127.0.0.1"]

    async with HttpClients(resolve=mixed) as clients:
        with _connections_noted() as noted, pytest.raises(httpx2.ConnectError):
            await clients.client(PUBLIC_ONLY).get(target.url(host="mixed.test"))
    assert noted == [("198.51.101.1", target.port)]


async def test_a_connection_opened_for_one_policy_is_not_used_for_the_other(
    clients: HttpClients, target: Receiver
) -> None:
    await clients.client(PRIVATE_TOO).get(target.url())
    with pytest.raises(BlockedAddress):
        await clients.client(PUBLIC_ONLY).get(target.url())
    assert len(target.requests) == 1


async def test_the_next_address_is_tried_when_one_refuses(target: Receiver) -> None:
    async def two(host: str, port: int) -> list[str]:
        return ["127.9.9.9", "127.0.0.1"]

    async with HttpClients(resolve=two) as clients:
        assert (await clients.client(PRIVATE_TOO).get(target.url(host="two.test"))).text == "ok"


def _certificate_for(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server context with a certificate for `name`, and a client context that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=pem)


async def test_tls_speaks_to_the_host_of_the_url_not_to_the_address(tmp_path: Path) -> None:
    server, trusting = _certificate_for("yard.test", tmp_path)
    names: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: names.append(name)

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with receiver(server) as made, HttpClients(resolve=resolve, ssl_context=trusting) as clients:
        response = await clients.client(PRIVATE_TOO).get(f"https://yard.test:{made.port}/")
        assert response.text == "ok"
        with pytest.raises(httpx2.ConnectError, match="certificate"):
            await clients.client(PRIVATE_TOO).get(f"https://other.test:{made.port}/")
    assert names == ["yard.test", "other.test"]


async def test_a_handshake_without_end_leaves_nothing_open() -> None:
    hung_up = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        hung_up.set()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with HttpClients() as clients:
        call = asyncio.ensure_future(clients.client(PRIVATE_TOO).get(f"https://127.0.0.1:{port}/"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call, 0.2)
        await asyncio.wait_for(hung_up.wait(), 5)
    server.close()


async def test_the_environment_changes_nothing(target: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with HttpClients() as clients:
        assert (await clients.client(PRIVATE_TOO).get(target.url())).text == "ok"


async def test_lookups_of_one_name_are_shared_and_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(10)
        return [(0, 0, 0, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    lookup = NameLookup()
    first = [asyncio.ensure_future(lookup("a.test", 1)) for _ in range(5)]
    gone = asyncio.ensure_future(lookup("a.test", 1))
    await asyncio.sleep(0)
    gone.cancel()
    release.set()
    assert await asyncio.gather(*first) == [["127.0.0.1"]] * 5
    await lookup("a.test", 1)
    lookup.close()
    assert asked == ["a.test", "a.test"]
