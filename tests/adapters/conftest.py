"""Fixtures of the adapters' tests."""

import ssl
from collections.abc import AsyncIterator

import pytest

from taskyard.adapters.http.client import HttpClients
from taskyard.domain.runs import Stream
from tests.adapters.receiver import Receiver, receiver


class Lines:
    """An `Output` that keeps what was written."""

    def __init__(self) -> None:
        self.written: list[tuple[Stream, str]] = []

    async def write(self, stream: Stream, data: bytes) -> None:
        self.written.append((stream, data.decode()))

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.written)


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture(scope="session")
def ssl_context() -> ssl.SSLContext:
    """Made once, because reading the system's certificates takes longer than most tests."""
    return ssl.create_default_context()


@pytest.fixture
async def clients(ssl_context: ssl.SSLContext) -> AsyncIterator[HttpClients]:
    async with HttpClients(ssl_context=ssl_context) as made:
        yield made


@pytest.fixture
async def target() -> AsyncIterator[Receiver]:
    """A receiver on loopback."""
    async with receiver() as made:
        yield made
