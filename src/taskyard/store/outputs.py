"""What executions print, in the order it came, addressed by byte offset."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from taskyard.domain.runs import Stream
from taskyard.store.database import Tx
from taskyard.store.tables import outputs


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some bytes of one stream; `position` is the offset of the first among all output of the execution."""

    execution_id: UUID
    tenant_id: UUID
    position: int
    stream: Stream
    content: bytes


async def add(tx: Tx, chunks: Sequence[Chunk]) -> None:
    """Store further chunks. A place once written stays as it is: a commit whose answer was lost is made again."""
    if chunks:
        dialect = sqlite if tx.is_sqlite else postgresql
        await tx.connection.execute(
            dialect.insert(outputs).on_conflict_do_nothing(),
            [
                {
                    "execution_id": chunk.execution_id,
                    "tenant_id": chunk.tenant_id,
                    "position": chunk.position,
                    "stream": chunk.stream.value,
                    "content": chunk.content,
                    "created_at": tx.now,
                }
                for chunk in chunks
            ],
        )


async def read(tx: Tx, tenant_id: UUID, execution_id: UUID, offset: int, limit: int) -> list[Chunk]:
    """Up to `limit` chunks from byte `offset` on; the first is cut to begin there."""
    mine = (outputs.c.tenant_id == tenant_id, outputs.c.execution_id == execution_id)
    start = select(func.max(outputs.c.position)).where(*mine, outputs.c.position <= offset).scalar_subquery()
    query = select(outputs).where(*mine, outputs.c.position >= func.coalesce(start, 0))
    rows = (await tx.connection.execute(query.order_by(outputs.c.position).limit(limit))).mappings()
    found = [
        Chunk(execution_id, tenant_id, row["position"], Stream(row["stream"]), bytes(row["content"])) for row in rows
    ]
    return [cut for chunk in found if (cut := _from(chunk, offset)).content]


async def size(tx: Tx, tenant_id: UUID, execution_id: UUID) -> int:
    """How many bytes of the execution's output are stored."""
    query = (
        select(outputs.c.position + func.length(outputs.c.content))
        .where(outputs.c.tenant_id == tenant_id, outputs.c.execution_id == execution_id)
        .order_by(outputs.c.position.desc())
        .limit(1)
    )
    return (await tx.connection.execute(query)).scalar() or 0


def _from(chunk: Chunk, offset: int) -> Chunk:
    skipped = max(0, offset - chunk.position)
    if not skipped:
        return chunk
    content = chunk.content[skipped:]
    return Chunk(chunk.execution_id, chunk.tenant_id, chunk.position + skipped, chunk.stream, content)
