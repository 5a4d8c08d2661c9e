"""Events: which subscriber wants which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard.domain.errors import Invalid
from taskyard.domain.events import CATALOGUE, checked_patterns, matches

TYPES = st.sampled_from(sorted(CATALOGUE))
FAMILIES = sorted({name.split(".")[0] for name in CATALOGUE})


@given(TYPES, TYPES)
def test_a_name_matches_itself_alone(pattern: str, event_type: str) -> None:
    assert matches([pattern], event_type) == (pattern == event_type)


@given(TYPES, st.sampled_from(FAMILIES))
def test_a_family_matches_its_members(event_type: str, family: str) -> None:
    assert matches([f"{family}.*"], event_type) == (event_type.startswith(f"{family}."))


@given(TYPES)
def test_a_star_matches_all_and_nothing_matches_none(event_type: str) -> None:
    assert matches(["*"], event_type)
    assert matches(["job.deleted", "*"], event_type)
    assert not matches([], event_type)


@pytest.mark.parametrize(
    "pattern", ["job", "job.", "job*", "*.created", "execution", ".*", "JOB.created", "job.created.*"]
)
def test_nothing_else_is_a_pattern(pattern: str) -> None:
    assert not any(matches([pattern], event_type) for event_type in CATALOGUE)
    with pytest.raises(Invalid) as caught:
        checked_patterns(["*", pattern])
    assert caught.value.field == "event_types"
    assert repr(pattern) in caught.value.message


def test_patterns_are_kept_in_order_without_repeats() -> None:
    assert checked_patterns(["job.*", "execution.failed", "job.*", "*"]) == ["job.*", "execution.failed", "*"]
    with pytest.raises(Invalid):
        checked_patterns([])
