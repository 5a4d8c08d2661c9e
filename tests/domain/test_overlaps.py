"""Overlaps: what a new run does about those that are not over."""

import pytest

from taskyard.domain.ids import new_id
from taskyard.domain.jobs import Overlap
from taskyard.domain.overlaps import Entry, entry

ACTIVE = [new_id(), new_id()]


@pytest.mark.parametrize("overlap", Overlap)
def test_alone_every_run_enters(overlap: Overlap) -> None:
    assert entry(overlap, []) == Entry()


def test_skip_names_what_is_in_the_way() -> None:
    way = entry(Overlap.SKIP, ACTIVE)
    assert way.skipped_because is not None
    assert str(ACTIVE[0]) in way.skipped_because
    assert not way.held
    assert not way.cancels


def test_queue_waits() -> None:
    assert entry(Overlap.QUEUE, ACTIVE) == Entry(held=True)


def test_cancel_previous_cancels_all_and_waits_for_their_end() -> None:
    assert entry(Overlap.CANCEL_PREVIOUS, ACTIVE) == Entry(held=True, cancels=tuple(ACTIVE))


def test_allow_enters() -> None:
    assert entry(Overlap.ALLOW, ACTIVE) == Entry()
