"""Workers that stand still past their lease, and workers that die while their commands live."""

from pathlib import Path
from uuid import UUID

import pytest

from taskyard.adapters.runners.process_table import entry
from taskyard.domain.executions import Status
from taskyard.domain.jobs import Command, Kind
from taskyard.services import jobs
from tests.faults.load import Load
from tests.faults.members import Members, working
from tests.processes import eventually
from tests.runtime.fixtures import ON_POSTGRES, ON_SQLITE
from tests.runtime.yards import Yard

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.timeout(180)]


def alive(pid: int) -> bool:
    return entry(pid) is not None


async def pids_in(path: Path, count: int) -> list[int]:
    """The process numbers a command has written, once there are `count`."""

    def look() -> list[int]:
        found = path.read_text().split() if path.exists() else []
        return [int(pid) for pid in found] if len(found) >= count else []

    return await eventually(look, 30, f"{count} process numbers in {path}")


async def start_tree(yard: Yard, path: Path) -> UUID:
    """A command with a child in a session of its own, both of which never end by themselves."""
    line = f"echo $$ >> {path}; setsid sh -c 'echo $$ >> {path}; exec sleep 1000' & sleep 1000; echo over >> {path}"
    job = await yard.job("tree", Kind.COMMAND, timeout_seconds=600)
    async with yard.database.write() as tx:
        await jobs.update(tx, yard.actor, job.id, {"command": Command(line)})
    (ident,) = await yard.run(job)
    return ident


@ON_POSTGRES
async def test_a_worker_stopped_past_its_lease_wakes_up_without_a_say(
    load: Load, members: Members, yard: Yard, tmp_path: Path
) -> None:
    frozen = members.worker()
    await working(frozen)
    command = await start_tree(yard, tmp_path / "pids")
    tree = await pids_in(tmp_path / "pids", 2)
    await load.give(calls=10, due=0, commands=0)
    frozen.suspend()
    living = members.worker()
    await working(living)
    ended = await yard.becomes(command, Status.DEAD_LETTER, timeout=30)
    assert ended.reason == "worker lost"
    assert all(map(alive, tree))
    frozen.resume()
    await eventually(lambda: not any(map(alive, tree)), 30, "the end of the woken worker's command")
    await frozen.line("this process was given up for lost", timeout=30)
    found = await load.over()
    assert [each for each in found if each.id == command] == [ended]
    (call,) = await yard.run(await yard.job("after", Kind.COMMAND))
    await yard.run_to_end(call, 30)
    assert await living.stop() == 0
    assert await frozen.stop() == 0


@ON_SQLITE
async def test_a_killed_server_leaves_no_command_behind(yard: Yard, members: Members, tmp_path: Path) -> None:
    process, url = members.server()
    await process.answers(f"{url}/health", timeout=60)
    command = await start_tree(yard, tmp_path / "pids")
    tree = await pids_in(tmp_path / "pids", 2)
    assert all(map(alive, tree))
    process.kill()
    assert await process.ended() < 0
    await eventually(lambda: not any(map(alive, tree)), 30, "the end of the killed server's commands")
    assert "over" not in (tmp_path / "pids").read_text()
    assert (await yard.get(command)).status is Status.RUNNING
    restarted = members.worker()
    ended = await yard.becomes(command, Status.DEAD_LETTER, timeout=60)
    assert ended.reason == "worker lost"
    await working(restarted)
    assert await restarted.stop() == 0
