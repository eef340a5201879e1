"""Who was forgotten lately: what comes of them is not stored. Kept as keyed hashes, never as ids."""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from tracker.tables import ZERO_UUID
from tracker.tables.persons import Person

log = logging.getLogger(__name__)

MOST_MARKS = 100_000
"""Beyond it those that end first go."""
MARK_BYTES = 16

Marks = dict[bytes, float]
"""Mark -> until when it counts, in Unix seconds."""


class Forgotten:
    """Used on the event loop. While nobody was forgotten, asking costs nothing."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._marks: Marks = {}

    def add(self, marks: Mapping[bytes, float]) -> None:
        """These count from now on."""
        left = {**self._marks, **marks}
        if len(left) > MOST_MARKS:
            log.warning("more forgotten ids than are remembered", extra={"fields": {"most": MOST_MARKS}})
            left = dict(islice(sorted(left.items(), key=lambda one: -one[1]), MOST_MARKS))
        self._marks = left

    @property
    def is_active(self) -> bool:
        """Anybody was forgotten."""
        return bool(self._marks)

    def withholds(self, row: Mapping[str, Any], now: float) -> bool:
        """Whether a row of this `vid`, `uid` and `oid` is of somebody who was forgotten."""
        if not self._marks:
            return False
        return any(self._marks.get(mark, 0.0) > now for mark in self._of_row(row))

    def marks_of(self, person: Person, until: float) -> Marks:
        """What `add` takes for a person."""
        kinds = (("vid", person.visitors), ("uid", person.users), ("known", person.known))
        return {self.mark(kind, one, person.oid): until for kind, ones in kinds for one in ones}

    def mark(self, kind: str, name: str, oid: str = "") -> bytes:
        """The keyed hash of an id; nobody without the key can tell whose it is."""
        text = f"{kind}:{name}:{oid}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._key, digest_size=MARK_BYTES).digest()

    def _of_row(self, row: Mapping[str, Any]) -> Iterator[bytes]:
        oids: Iterable[str] = {"", row.get("oid", "")}
        visitor, user = row.get("vid", ""), row.get("uid", ZERO_UUID)
        for oid in oids:
            if visitor:
                yield self.mark("vid", visitor, oid)
            if user != ZERO_UUID:
                yield self.mark("uid", user, oid)
            elif visitor:
                yield self.mark("known", visitor, oid)
