"""Group commit: every item is answered with its own answer, in few batches; errors stay in their batch."""

import asyncio
from collections.abc import Sequence

import pytest

from taskyard.runtime.gather import Gather
from tests.processes import eventually

pytestmark = pytest.mark.anyio


class Served:
    """Doubles numbers, noting the batches; holds each batch until `gate` is open."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.at_once = 0
        self.most_at_once = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(items))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            if -1 in items:
                raise ValueError("no")
            return [item * 2 for item in items]
        finally:
            self.at_once -= 1


@pytest.mark.parametrize("count", [1, 2, 7, 50, 501])
@pytest.mark.parametrize("size", [1, 3, 200])
async def test_every_item_gets_its_own_answer(count: int, size: int) -> None:
    served = Served()
    gather = Gather(served, size=size, pause=0)
    answers = await asyncio.gather(*(gather(item) for item in range(count)))
    assert answers == [item * 2 for item in range(count)]
    assert [item for batch in served.batches for item in batch] == list(range(count))
    assert len(served.batches) == -(-count // size)


async def test_what_comes_while_a_batch_is_served_makes_the_next_one() -> None:
    served = Served()
    served.gate.clear()
    gather = Gather(served, pause=0)
    first = asyncio.create_task(gather(1))
    await eventually(lambda: served.batches)
    others = [asyncio.create_task(gather(item)) for item in (2, 3, 4)]
    await asyncio.sleep(0)
    served.gate.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8]
    assert served.batches == [[1], [2, 3, 4]]
    assert served.most_at_once == 1


async def test_an_error_is_its_batchs_alone() -> None:
    served = Served()
    gather = Gather(served, size=2, pause=0)
    answers = await asyncio.gather(*(gather(item) for item in (1, 2, -1, 3, 4)), return_exceptions=True)
    assert answers[:2] == [2, 4]
    assert all(isinstance(each, ValueError) for each in answers[2:4])
    assert answers[4] == 8


async def test_one_who_gives_up_waiting_does_not_spoil_the_batch() -> None:
    served = Served()
    served.gate.clear()
    gather = Gather(served, pause=0)
    tasks = [asyncio.create_task(gather(item)) for item in (1, 2, 3)]
    await eventually(lambda: served.batches)
    tasks[1].cancel()
    await asyncio.sleep(0)
    served.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers[0] == 2
    assert isinstance(answers[1], asyncio.CancelledError)
    assert answers[2] == 6


async def test_it_serves_again_after_it_was_idle() -> None:
    served = Served()
    gather = Gather(served, pause=0)
    assert await gather(1) == 2
    assert await gather(2) == 4
    assert served.batches == [[1], [2]]
