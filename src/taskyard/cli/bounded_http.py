"""HTTP/1.1 for uvicorn with an end to what a stranger may send before anybody has looked at it."""

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers, or trailers; bodies have a limit of their own. One read more may come in beyond it."""
_TOO_LARGE = b"The request's headers are larger than 64 KB."


class BoundedHttpProtocol(HttpToolsProtocol):
    """Ends a connection whose message goes on without coming to its body or end: uvicorn would keep it all."""

    _pending = 0
    """Bytes since the message last made progress."""

    def data_received(self, data: bytes) -> None:
        """Feed the parser; whatever it still waits for must not grow."""
        self._pending += len(data)
        super().data_received(data)
        if self._pending > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse()

    def _refuse(self) -> None:
        answering = self.cycle and not self.cycle.response_complete
        if not answering:
            self.transport.write(
                STATUS_LINE[431]
                + b"content-type: text/plain; charset=utf-8\r\n"
                + b"content-length: %d\r\n" % len(_TOO_LARGE)
                + b"connection: close\r\n\r\n"
                + _TOO_LARGE
            )
        self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._pending = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._pending = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of its body has come."""
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """It is whole."""
        self._pending = 0
        super().on_message_complete()
