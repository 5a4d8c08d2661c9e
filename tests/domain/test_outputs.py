"""Output told in whole characters."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from taskyard.domain.outputs import Place, leftovers, pieces
from taskyard.domain.runs import Stream


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some bytes as they were stored."""

    position: int
    stream: Stream
    content: bytes


@given(st.text(max_size=20), st.text(max_size=20), st.randoms(use_true_random=False))
def test_no_character_is_ever_split(out: str, err: str, random: Any) -> None:
    left = {Stream.STDOUT: out.encode(errors="ignore"), Stream.STDERR: err.encode(errors="ignore")}
    wanted = dict(left)
    chunks: list[Chunk] = []
    position = 0
    while any(left.values()):
        stream = random.choice([each for each, content in left.items() if content])
        size = random.randint(1, 3)
        chunks.append(Chunk(position, stream, left[stream][:size]))
        position += len(chunks[-1].content)
        left[stream] = left[stream][size:]
    told, after = pieces(Place(), chunks)
    assert leftovers(after) == []
    for stream, content in wanted.items():
        assert "".join(piece.text for piece in told if piece.stream is stream) == content.decode()


def test_a_character_that_is_never_finished_comes_at_the_end_and_is_replaced() -> None:
    told, after = pieces(Place(), [Chunk(0, Stream.STDOUT, b"ab\xe2\x82"), Chunk(4, Stream.STDERR, b"oh")])
    assert [(piece.offset, piece.text) for piece in told] == [(0, "ab"), (4, "oh")]
    assert [(piece.offset, piece.content, piece.text) for piece in leftovers(after)] == [(2, b"\xe2\x82", "\ufffd")]
