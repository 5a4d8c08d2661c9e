"""Fixtures of the services' tests."""

import pytest

from taskyard.store.database import Database
from tests.services.world import FakeClock, Yard, open_yard


@pytest.fixture
async def yard(database: Database, now: FakeClock) -> Yard:
    """An empty yard on each kind of database."""
    return await open_yard(database, now)
