"""The assistant face (D4), which is also the house's own full API under `/api/v1` (RULINGS §1)."""

from taskyard.faces.assistant.app import build

__all__ = ["build"]
