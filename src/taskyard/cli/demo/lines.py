"""The demo where nobody's terminal moves: what is new, line by line, or as JSON, one object a line."""

import json

from taskyard.cli import screen
from taskyard.cli.demo.scene import Scene
from taskyard.cli.plain import plain


class LineTeller:
    """Tells of a scene what it has not told yet."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._chapter = ""
        self._events = 0
        self._lines = 0

    def tell(self, scene: Scene) -> None:
        """Write what is new since the last call."""
        if scene.chapter != self._chapter:
            self._chapter = scene.chapter
            self._say({"chapter": scene.chapter}, f"\n== {scene.chapter}")
        for line in scene.lines[self._lines :]:
            self._say({"output": line}, f"    output  {screen.clean(line)}")
        for event in scene.events[self._events :]:
            told = f"{event.seq:>3} {event.type:<24} {screen.clean(scene.sentence(event))}"
            self._say({"event": plain(event)}, told.rstrip())
        self._events, self._lines = len(scene.events), len(scene.lines)

    def _say(self, data: dict[str, object], text: str) -> None:
        screen.say(json.dumps(data, ensure_ascii=False) if self._as_json else text)
