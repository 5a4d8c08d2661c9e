"""Connections: many at once, used again, never left open."""

import asyncio

import pytest

from taskyard.adapters.http.client import HttpClients
from taskyard.adapters.http.pool import MAX_IDLE
from taskyard.adapters.runners.http import HttpRunner
from taskyard.domain.runs import HttpCall, Verdict
from tests.adapters.conftest import Lines
from tests.adapters.http_runs import a_run
from tests.adapters.receiver import Received, Receiver, answer

pytestmark = pytest.mark.anyio


async def test_cookies_are_not_kept(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    url = target.on("/", answer(200, b"", (("Set-Cookie", "session=1; Path=/"),)))
    await HttpRunner(clients).run(a_run(HttpCall(url), HttpCall(url)), lines)
    assert ["cookie" in received.headers for received in target.requests] == [False, False]


async def test_connections_are_used_again(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    runner = HttpRunner(clients)
    for _ in range(20):
        assert (await runner.run(a_run(HttpCall(target.url())), lines)).verdict is Verdict.SUCCEEDED
    assert len(target.requests) == 20
    assert target.connections == 1


async def test_a_connection_the_other_side_closed_is_not_used_again(
    clients: HttpClients, target: Receiver, lines: Lines
) -> None:
    async def once(received: Received, writer: asyncio.StreamWriter) -> None:
        await answer(200, b"ok")(received, writer)
        writer.close()
        await writer.wait_closed()

    url = target.on("/", once)
    for _ in range(5):
        outcome = await HttpRunner(clients).run(a_run(HttpCall(url)), lines)
        assert outcome.verdict is Verdict.SUCCEEDED
        await target.open_connections(at_most=0)
    assert target.connections == 5


async def test_a_connection_with_an_unread_body_is_not_used_again(
    clients: HttpClients, target: Receiver, lines: Lines
) -> None:
    url = target.on("/", answer(200, b"x" * 200_000))
    for _ in range(3):
        await HttpRunner(clients).run(a_run(HttpCall(url)), lines)
    assert target.connections == 3


async def test_idle_connections_are_few(clients: HttpClients, target: Receiver) -> None:
    arrived = 0
    everybody = asyncio.Event()

    async def hold(received: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        arrived += 1
        if arrived == MAX_IDLE + 20:
            everybody.set()
        await everybody.wait()
        await answer(200, b"ok")(received, writer)

    run = a_run(HttpCall(target.on("/", hold)), timeout=60)
    await asyncio.gather(*(HttpRunner(clients).run(run, Lines()) for _ in range(MAX_IDLE + 20)))
    assert await target.open_connections(at_most=MAX_IDLE) == MAX_IDLE


async def test_500_calls_are_in_flight_at_once(clients: HttpClients, target: Receiver) -> None:
    arrived = 0
    everybody = asyncio.Event()

    async def hold(received: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        arrived += 1
        if arrived == 500:
            everybody.set()
        await everybody.wait()
        await answer(200, b"ok")(received, writer)

    runner, run = HttpRunner(clients), a_run(HttpCall(target.on("/", hold)), timeout=60)
    outcomes = await asyncio.gather(*(runner.run(run, Lines()) for _ in range(500)))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.SUCCEEDED}
    assert arrived == 500


async def test_cancelling_closes_the_connection(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def hold(received: Received, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await received.hung_up()
        writer.close()
        gone.set()

    run = asyncio.ensure_future(HttpRunner(clients).run(a_run(HttpCall(target.on("/", hold)), timeout=60), lines))
    await arrived.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await asyncio.wait_for(gone.wait(), 5)


async def test_closed_clients_say_so(lines: Lines) -> None:
    clients = HttpClients()
    with pytest.raises(RuntimeError, match="not open"):
        await HttpRunner(clients).run(a_run(HttpCall("http://127.0.0.1/")), lines)
