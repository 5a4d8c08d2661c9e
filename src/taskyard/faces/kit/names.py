"""The five faces by name."""

from enum import StrEnum


class FaceName(StrEnum):
    """One documented API each (RULINGS §1)."""

    PLANNER = "planner"
    WORKBENCH = "workbench"
    TRACKER = "tracker"
    SCHEDULER = "scheduler"
    ASSISTANT = "assistant"
