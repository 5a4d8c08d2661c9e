"""The SQLite driver: what it does that aiosqlite does not."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from taskyard.store.sqlite_driver import DRIVER

pytestmark = pytest.mark.anyio


async def test_a_connection_may_be_closed_by_several_at_once(tmp_path: Path) -> None:
    engine = create_async_engine(f"{DRIVER}:///{tmp_path / 'a.db'}")
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar() == 1
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        async with asyncio.timeout(10):
            await asyncio.gather(*(driver.close() for _ in range(3)))
            await driver.close()
        await connection.invalidate()
    await engine.dispose()
