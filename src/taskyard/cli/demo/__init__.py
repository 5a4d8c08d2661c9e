"""`taskyard demo`: the story of a yard, told by a real one."""

from taskyard.cli.demo.command import register

__all__ = ["register"]
