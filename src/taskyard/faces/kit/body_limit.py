"""A cap on what a caller may send, in the format of the face that refuses it."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DEFAULT_BYTES = 1024 * 1024


class BodyLimit:
    """Middleware: reading more than `limit` bytes raises a 413 where the body is read, before it is all in memory."""

    def __init__(self, app: ASGIApp, limit: int = DEFAULT_BYTES) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = _announced(scope)
        read = 0

        async def receiving() -> Message:
            nonlocal read
            if announced > self._limit:
                raise HTTPException(413)
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit:
                raise HTTPException(413)
            return message

        await self._app(scope, receiving, send)


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
