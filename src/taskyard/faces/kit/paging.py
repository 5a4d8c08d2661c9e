"""Pages, in the manners of D3 (skip, limit) and D4 (offset, limit)."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

MAX_OFFSET = 2**63 - 1
"""What both databases can count to."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    skip: int
    limit: int


def skip_limit(
    skip: Annotated[int, Query(ge=0, le=MAX_OFFSET, description="Number of records to skip")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of records")] = 100,
) -> Page:
    """D3's page."""
    return Page(skip, limit)


def limit_offset(
    limit: Annotated[int, Query(ge=1, le=100, description="Max results")] = 50,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET, description="Pagination offset")] = 0,
) -> Page:
    """D4's page."""
    return Page(offset, limit)


SkipLimit = Annotated[Page, Depends(skip_limit)]
LimitOffset = Annotated[Page, Depends(limit_offset)]
