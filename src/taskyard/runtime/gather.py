"""Group commit: many small requests of the same sort, gathered for a moment and served by one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


class Gather(Generic[ItemT, AnswerT]):
    """`serve` gets all items that came while the last batch was being served, and answers one result per item.

    An idle gatherer serves after `pause` seconds; a busy one fills its next batch by itself. When `serve` raises,
    every item of that batch raises the same.
    """

    def __init__(
        self,
        serve: Callable[[Sequence[ItemT]], Awaitable[Sequence[AnswerT]]],
        *,
        size: int = 200,
        pause: float = 0.0,
    ) -> None:
        self._serve = serve
        self._size = size
        self._pause = pause
        self._waiting: list[tuple[ItemT, asyncio.Future[AnswerT]]] = []
        self._server: asyncio.Task[None] | None = None

    async def __call__(self, item: ItemT) -> AnswerT:
        """Have `item` served with the next batch."""
        answer: asyncio.Future[AnswerT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._server is None:
            self._server = asyncio.create_task(self._serve_all())
        return await answer

    async def _serve_all(self) -> None:
        try:
            await asyncio.sleep(self._pause)
            while self._waiting:
                batch, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
                await self._serve_one(batch)
        finally:
            self._server = None

    async def _serve_one(self, batch: Sequence[tuple[ItemT, "asyncio.Future[AnswerT]"]]) -> None:
        try:
            answers = await self._serve([item for item, _ in batch])
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
