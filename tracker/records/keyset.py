"""A set of texts in a fixed amount of memory that may take a text for one of its own, never the reverse."""

import hashlib
from collections.abc import Iterator

_BYTES = 1024 * 1024
_PROBES = 5


class KeySet:
    """A Bloom filter of 1 MiB: of 500,000 texts, one stranger in thirty is taken for a member."""

    def __init__(self) -> None:
        self._bits: bytearray | None = None

    def add(self, text: str) -> None:
        """It is a member from now on."""
        if self._bits is None:
            self._bits = bytearray(_BYTES)
        for place in _places(text):
            self._bits[place >> 3] |= 1 << (place & 7)

    def may_have(self, text: str) -> bool:
        """False: it was never added."""
        bits = self._bits
        return bits is not None and all(bits[place >> 3] & (1 << (place & 7)) for place in _places(text))

    def clear(self) -> None:
        """Nothing is a member; the memory is given back."""
        self._bits = None


def _places(text: str) -> Iterator[int]:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4 * _PROBES).digest()
    for start in range(0, len(digest), 4):
        yield int.from_bytes(digest[start : start + 4], "big") % (_BYTES * 8)
