"""Fixtures the conformance, runtime and fault tests share; their conftest files import them."""

from collections.abc import AsyncGenerator

import pytest

from tests.runtime.yards import Yard, open_yard, prepare
from tests.servers import MakeDatabase

ON_SQLITE = pytest.mark.parametrize("yard_url", ["sqlite"], indirect=True)
ON_POSTGRES = pytest.mark.parametrize("yard_url", ["postgres"], indirect=True)
"""For tests that are about one database only."""


@pytest.fixture(params=["sqlite", "postgres"])
def yard_url(request: pytest.FixtureRequest, fresh_database: MakeDatabase) -> str:
    """The address of a migrated database with an operator, once per kind."""
    return fresh_database(request.param, "yard", prepare)


@pytest.fixture
async def yard(yard_url: str) -> AsyncGenerator[Yard]:
    """The yard, on both databases one after the other."""
    async with open_yard(yard_url) as opened:
        yield opened
