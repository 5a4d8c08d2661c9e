"""Reading the answers of strangers: never more than asked for, always as text that any database can hold."""

import codecs
import zlib
from collections.abc import AsyncIterator, Mapping

import httpx2

MAX_RESPONSE_HEADERS = 100
MAX_HEADER_CHARACTERS = 8192

# Python knows codecs that are slow on purpose-made input, or no character sets at all.
_CHARSETS = frozenset(
    {"utf-8", "utf-16", "utf-16-le", "utf-16-be", "ascii", "shift_jis", "euc_jp", "gbk", "gb2312", "gb18030", "big5"}
    | {"euc_kr", "koi8-r", "koi8-u", *(f"iso8859-{n}" for n in range(1, 17)), *(f"cp125{n}" for n in range(9))}
)


def _charset(declared: str | None) -> str:
    try:
        name = codecs.lookup(declared or "utf-8").name
    except (LookupError, ValueError):
        return "utf-8"
    return name if name in _CHARSETS else "utf-8"


def to_text(body: bytes, charset: str | None, *, truncated: bool) -> str:
    """`body` as text; what cannot be decoded becomes U+FFFD, and a character that was cut in two is left out."""
    decoder = codecs.getincrementaldecoder(_charset(charset))("replace")
    return decoder.decode(body, final=not truncated)


def kept_headers(headers: httpx2.Headers) -> Mapping[str, str]:
    """The first 100 headers by lower-case name, repeated ones joined with a comma, values cut at 8 KB."""
    names = list(dict.fromkeys(name.lower() for name in headers))[:MAX_RESPONSE_HEADERS]
    return {name: headers[name][:MAX_HEADER_CHARACTERS] for name in names}


class _Inflating:
    """Undoes gzip or deflate without ever holding more than `limit` bytes of a bomb."""

    def __init__(self, coding: str, limit: int) -> None:
        self._limit = limit
        self._inflater = zlib.decompressobj(wbits=47) if coding in {"gzip", "x-gzip", "deflate"} else None

    def __call__(self, data: bytes) -> bytes:
        return data if self._inflater is None else self._inflater.decompress(data, self._limit)


async def _decoded(response: httpx2.Response, limit: int) -> AsyncIterator[bytes]:
    inflate = _Inflating(response.headers.get("content-encoding", "").strip().lower(), limit)
    async for part in response.aiter_raw():
        try:
            yield inflate(part)
        except zlib.error:
            return


async def read_start(response: httpx2.Response, into: bytearray, limit: int) -> bool:
    """Read at most `limit` bytes of the body into `into`; True when there was more.

    What was read before an error or a cancellation stays in `into`.
    """
    async for part in _decoded(response, limit + 1):
        room = limit - len(into)
        into += part[:room]
        if len(part) > room:
            return True
    return False
