"""The scheduler face (D3): services that need cron and HTTP."""

from taskyard.faces.scheduler.app import build

__all__ = ["build"]
