"""The servers that contestants lean on: a durable PostgreSQL, a Redis, and the peer's worker. Started when needed."""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property

from bench.children import Child, child
from tests.servers import PostgresServer, RedisServer

IDLE_QUEUE = "idle"


@dataclass(frozen=True, slots=True)
class CeleryPeer:
    """A Celery worker that waits to be told to consume, and where its Redis is."""

    worker: Child
    environment: dict[str, str]

    def client(self, *order: str) -> AbstractContextManager[Child]:
        """The client program with its order (see `sides.celery_client`)."""
        return child("bench.sides.celery_client", *order, env=self.environment)


class Postgres(PostgresServer):
    """One whose processor time can be read."""

    @property
    def pid(self) -> int:
        """Of its first process, the parent of all others."""
        assert self._process is not None
        return self._process.pid


class Redis(RedisServer):
    """One whose processor time can be read."""

    @property
    def pid(self) -> int:
        """Of its only process."""
        assert self._process is not None
        return self._process.pid


class Servers:
    """Started when first asked for, closed together."""

    @cached_property
    def postgres(self) -> Postgres:
        """Its data on disk, fsync on."""
        server = Postgres(durable=True)
        server.start()
        return server

    @cached_property
    def redis(self) -> Redis:
        """In memory, as Redis comes when nobody asks for an append-only file."""
        server = Redis()
        server.start()
        return server

    @contextmanager
    def celery(self, *, prefetch: int) -> Generator[CeleryPeer]:
        """Celery's worker with two prefork processes, over an empty Redis."""
        self.redis.flush()
        environment = {
            "BENCH_BROKER": self.redis.url,
            # A Redis database of their own for results.
            "BENCH_RESULTS": f"{self.redis.url.removesuffix('/0')}/1",
            "BENCH_PREFETCH": str(prefetch),
        }
        options = ("-A", "bench.sides.celery_tasks", "worker", "-c", "2", "-l", "ERROR", "-Q", IDLE_QUEUE)
        with child("celery", *options, env=environment) as worker:
            yield CeleryPeer(worker, environment)

    def close(self) -> None:
        """End what was started."""
        for name in ("postgres", "redis"):
            if name in self.__dict__:
                self.__dict__[name].close()
