"""A WebSocket frame's bytes -> JSON text: text frames as they are, binary ones in the original's LZ4 framing.

A binary frame is the inflated length (32 bits, little endian) and one raw LZ4 block.
"""

import lz4.block  # type: ignore[import-untyped]  # it ships no types

from tracker.errors import BadHit, TooLarge

HEAD_BYTES = 4
MOST_INFLATION = 255
"""No LZ4 block inflates further, so a longer declared length is a lie."""


def inflated_bytes(frame: bytes) -> int:
    """How long a binary frame says its content is; nothing was judged yet."""
    return int.from_bytes(frame[:HEAD_BYTES], "little")


def unpack(frame: bytes, limit: int) -> bytes:
    """A binary frame's content, at most `limit` bytes.

    The declared length is judged before anything of that length is allocated. Raises BadHit, TooLarge.
    """
    if len(frame) <= HEAD_BYTES:
        raise BadHit("a binary frame is four bytes of length and an LZ4 block", "lz4")
    declared = inflated_bytes(frame)
    block = frame[HEAD_BYTES:]
    if declared > limit:
        raise TooLarge(f"the frame declares {declared} bytes, more than {limit}")
    if declared == 0 or declared > MOST_INFLATION * len(block):
        raise BadHit(f"the frame declares {declared} bytes, which its block cannot hold", "lz4")
    try:
        content: bytes = lz4.block.decompress(block, uncompressed_size=declared)
    except lz4.block.LZ4BlockError as error:
        raise BadHit("the frame is no valid LZ4 block", "lz4") from error
    if len(content) != declared:
        raise BadHit(f"the frame declares {declared} bytes and holds {len(content)}", "lz4")
    return content
