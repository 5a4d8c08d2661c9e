"""Fixtures of the adapters' tests."""

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


@pytest.fixture
async def clients() -> AsyncIterator[HttpClients]:
    async with HttpClients() as made:
        yield made


@pytest.fixture
async def target() -> AsyncIterator[Receiver]:
    """A receiver on loopback."""
    async with receiver() as made:
        yield made
