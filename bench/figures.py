"""From samples to what is printed: medians, percentiles, ratios, tables in Markdown."""

import math
import statistics
from collections.abc import Sequence

MILLISECOND = 1e-3


def median(samples: Sequence[float]) -> float:
    """The middle one; NaN of nothing."""
    return statistics.median(samples) if samples else math.nan


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that `percent` of all do not exceed (nearest rank); NaN of nothing."""
    if not samples:
        return math.nan
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def count(value: float) -> str:
    """A whole number with its thousands apart."""
    return "-" if math.isnan(value) else f"{value:,.0f}"


def spread(samples: Sequence[float]) -> str:
    """The median, and the lowest and highest beside it."""
    if len(samples) < 2:
        return count(median(samples))
    return f"{count(median(samples))} ({count(min(samples))} to {count(max(samples))})"


def millis(seconds: float) -> str:
    """Seconds as milliseconds, with as many decimals as say something."""
    if math.isnan(seconds):
        return "-"
    value = seconds / MILLISECOND
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ratio(ours: float, other: float) -> str:
    """How many times `other` goes into `ours`."""
    if math.isnan(ours) or math.isnan(other) or not other:
        return "-"
    value = ours / other
    return f"{value:,.0f} x" if value >= 100 else f"{value:.1f} x" if value >= 10 else f"{value:.2f} x"


def share(ours: float, limit: float) -> str:
    """How much of `limit` is reached."""
    return "-" if math.isnan(ours) or math.isnan(limit) or not limit else f"{100 * ours / limit:.1f} %"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column flush left, the others right, padded to be read as plain text too."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cells[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)),
        ]
        return f"| {' | '.join(padded)} |"

    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(head), f"| {' | '.join(rule)} |", *(line(row) for row in rows)])
