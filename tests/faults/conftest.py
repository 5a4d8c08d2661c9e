"""Fixtures of the fault tests: a database, real processes of the yard on it, and a receiver of their calls."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.adapters.receiver import Receiver, receiver
from tests.faults.load import Load
from tests.faults.members import Members
from tests.processes import Processes
from tests.runtime.fixtures import yard, yard_url
from tests.runtime.yards import Yard

__all__ = ["yard", "yard_url"]


@pytest.fixture
async def calls() -> AsyncGenerator[Receiver]:
    """Who is called by the jobs of the load."""
    async with receiver() as listening:
        yield listening


@pytest.fixture
def members(processes: Processes, yard: Yard, tmp_path: Path) -> Members:
    """Starts processes of the yard."""
    return Members(processes, yard.url, tmp_path / "data")


@pytest.fixture
def load(yard: Yard, calls: Receiver, tmp_path: Path) -> Load:
    """Gives the yard work, and judges at the end what became of it."""
    return Load(yard, calls, tmp_path)
