"""Text from outside, made fit to be kept."""

import json

from hypothesis import given
from hypothesis import strategies as st

from taskyard.domain.texts import check_text, storable

TEXTS = st.text(st.characters(codec=None), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_whatever_came_can_be_stored(value: object) -> None:
    kept = storable(value)
    assert check_text(json.dumps(kept, ensure_ascii=False).replace("\\u0000", "\0"), "value")


def test_only_what_cannot_be_kept_is_replaced() -> None:
    assert storable({"a\0": ["ü\ud800", "😀", "b"], "n": 1, "none": None}) == {
        "a\ufffd": ["ü\ufffd", "😀", "b"],
        "n": 1,
        "none": None,
    }
