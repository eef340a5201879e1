"""Content-Encoding undone, within bounds: never more than the limit plus one piece is held.

Pure functions of bytes; truncated and malformed streams are BadHit, too large ones TooLarge.
"""

import zlib
from collections.abc import Callable, Iterator

import lz4.frame  # type: ignore[import-untyped]  # it ships no types
import zstandard

from tracker.errors import BadHit, TooLarge

PIECE_BYTES = 64 * 1024
ZSTD_FEED_BYTES = 512
"""Its decoder takes no output bound, and one byte may become 32 KiB: so it is fed in sips."""
MAX_MEMBERS = 1000
MAX_WINDOW_BYTES = 8 * 1024 * 1024
"""The largest window a zstd stream may ask for; RFC 9659 lets HTTP use no more."""


class UnknownEncoding(BadHit):
    """Answer 415: this Content-Encoding is not spoken here."""


def decode_body(data: bytes, content_encoding: str, limit: int) -> bytes:
    """A body without its Content-Encoding (several ones are undone from the last to the first).

    Raises UnknownEncoding, TooLarge when more than `limit` bytes come out, BadHit when it is malformed.
    """
    names = [name for part in content_encoding.lower().split(",") if (name := part.strip())]
    if len(names) > 3:
        raise UnknownEncoding("more than three content encodings", "encoding")
    for name in reversed(names):
        data = _decode_one(data, name, limit)
    return data


def _decode_one(data: bytes, name: str, limit: int) -> bytes:
    if name == "identity":
        return data
    pieces = _DECODERS.get(name)
    if pieces is None:
        known = ", ".join(sorted({*_DECODERS, "identity"}))
        raise UnknownEncoding(f"unknown Content-Encoding; known are {known}", "encoding")
    try:
        return _joined(pieces(data), limit)
    except (zlib.error, zstandard.ZstdError, RuntimeError, EOFError, MemoryError) as error:
        raise BadHit(f"the body is no valid {name}", "compression") from error


def _joined(pieces: Iterator[bytes], limit: int) -> bytes:
    out = bytearray()
    for piece in pieces:
        out += piece
        if len(out) > limit:
            raise TooLarge(f"the body inflates to more than {limit} bytes")
    return bytes(out)


def _slices(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def _zlib_pieces(data: bytes, window_bits: int) -> Iterator[bytes]:
    """Zlib-family streams one after another, as gzip allows."""
    engine, members = zlib.decompressobj(window_bits), 1
    for part in _slices(data, PIECE_BYTES):
        rest = part
        while rest:
            if engine.eof:
                engine, members = zlib.decompressobj(window_bits), _one_more(members)
            yield engine.decompress(rest, PIECE_BYTES)
            rest = engine.unconsumed_tail or engine.unused_data
    if not engine.eof:
        yield engine.flush()
    _require_end(engine.eof)


def _gzip_pieces(data: bytes) -> Iterator[bytes]:
    return _zlib_pieces(data, 16 + zlib.MAX_WBITS)


def _deflate_pieces(data: bytes) -> Iterator[bytes]:
    """`deflate` means zlib; some senders mean the raw form."""
    has_zlib_head = len(data) > 1 and data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0
    return _zlib_pieces(data, zlib.MAX_WBITS if has_zlib_head else -zlib.MAX_WBITS)


def _zstd_pieces(data: bytes) -> Iterator[bytes]:
    engine, members = _zstd_engine(), 1
    for part in _slices(data, ZSTD_FEED_BYTES):
        rest = part
        while rest:
            if engine.eof:
                engine, members = _zstd_engine(), _one_more(members)
            yield engine.decompress(rest)
            rest = engine.unused_data
    _require_end(engine.eof)


def _zstd_engine() -> "zstandard.ZstdDecompressionObj":
    return zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj()


def _lz4_pieces(data: bytes) -> Iterator[bytes]:
    engine, members = lz4.frame.LZ4FrameDecompressor(), 1
    for part in _slices(data, PIECE_BYTES):
        rest = part
        while rest:
            if engine.eof:
                engine, members = lz4.frame.LZ4FrameDecompressor(), _one_more(members)
            yield engine.decompress(rest, PIECE_BYTES)
            while not engine.eof and not engine.needs_input:
                yield engine.decompress(b"", PIECE_BYTES)
            rest = (engine.unused_data or b"") if engine.eof else b""
    _require_end(engine.eof)


def _one_more(members: int) -> int:
    """Tiny members by the hundred thousand would cost more to open than their bytes are worth."""
    if members >= MAX_MEMBERS:
        raise TooLarge(f"the body has more than {MAX_MEMBERS} compressed members")
    return members + 1


def _require_end(is_at_end: bool) -> None:
    if not is_at_end:
        raise EOFError("the stream is cut off")


_DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": _gzip_pieces,
    "x-gzip": _gzip_pieces,
    "deflate": _deflate_pieces,
    "zstd": _zstd_pieces,
    "lz4": _lz4_pieces,
}
