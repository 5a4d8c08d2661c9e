"""The front door: one port for all faces (RULINGS §2)."""

from taskyard.faces.door.app import FACES, build

__all__ = ["FACES", "build"]
