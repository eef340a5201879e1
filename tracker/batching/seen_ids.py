"""The client event ids of the last hours in memory: exact, bounded, oldest out first.

A ring holds the ids, an open-addressing table finds them: 24 bytes per id where a set would take 110.
The spool keeps the same ids on disk and fills the ring again at start, which is quick; bringing them into the
table is not, so that is done in steps, and until then the ring is searched as well.
"""

import mmap
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence

ID_BYTES = 16
_FEW = 4
"""So many ids are found one by one in the ring; more are compared with all of it at once."""


class SeenIds:
    """The last `capacity` ids, numbered in the order they came; `start` is the number of the first.

    Pages of the ring and the table are taken from the system only when they are first written.
    """

    def __init__(self, capacity: int, start: int = 0) -> None:
        slots = 1 << max(4, (2 * capacity - 1).bit_length())
        self.capacity = capacity
        self.head = self.tail = start
        self._waits_from = self._waits_to = start  # ids of these numbers are in the ring and not in the table
        self._mask = slots - 1
        self._table = memoryview(_zeros(4 * slots)).cast("I")
        self._ring = _zeros(ID_BYTES * capacity)

    def __len__(self) -> int:
        return self.head - self.tail

    def __contains__(self, client_id: bytes) -> bool:
        return bool(self.known([client_id]))

    def known(self, client_ids: Iterable[bytes]) -> set[bytes]:
        """Those of the ids that are in here."""
        table, ring, mask = self._table, self._ring, self._mask
        found = set()
        for client_id in client_ids:
            slot = hash(client_id) & mask
            while place := table[slot]:
                end = place * ID_BYTES
                if ring[end - ID_BYTES : end] == client_id:
                    found.add(client_id)
                    break
                slot = (slot + 1) & mask
        if self.unfound:
            found |= self._search([client_id for client_id in client_ids if client_id not in found])
        return found

    @property
    def unfound(self) -> int:
        """Ids that wait for their place in the table."""
        return self._waits_to - self._waits_from

    def fill(self, ids: bytes) -> None:
        """Remember older ids, joined; before any is added."""
        ids = ids[-ID_BYTES * self.capacity :] if self.capacity else b""
        self._write(ids)
        self.head += len(ids) // ID_BYTES
        self.tail = max(self.tail, self.head - self.capacity)
        self._waits_from, self._waits_to = max(self._waits_from, self.tail), self.head

    def find_places(self, at_most: int) -> None:
        """Give some of the ids that were filled in their place in the table."""
        end = min(self._waits_from + at_most, self._waits_to)
        table, mask = self._table, self._mask
        for number in range(self._waits_from, end):
            place = number % self.capacity + 1
            slot = self._home(place)
            while table[slot]:
                slot = (slot + 1) & mask
            table[slot] = place
        self._waits_from = end

    def _search(self, client_ids: Sequence[bytes]) -> set[bytes]:
        """Those of the ids that are in the ring only."""
        if len(client_ids) > _FEW:
            starts = {int.from_bytes(client_id[:8], sys.byteorder) for client_id in client_ids}
            alike = set[int]()
            for start, end in self._stretches():
                alike |= starts.intersection(array("Q", self._ring[start:end])[::2])
            client_ids = [one for one in client_ids if int.from_bytes(one[:8], sys.byteorder) in alike]
        return {client_id for client_id in client_ids if self._is_in_ring(client_id)}

    def _stretches(self) -> Iterator[tuple[int, int]]:
        """From where to where in the ring the ids lie that are not in the table."""
        start, size = self._waits_from % self.capacity * ID_BYTES, self.unfound * ID_BYTES
        yield start, min(start + size, len(self._ring))
        yield 0, max(start + size - len(self._ring), 0)

    def _is_in_ring(self, client_id: bytes) -> bool:
        for start, end in self._stretches():
            at = self._ring.find(client_id, start, end)
            while at >= 0 and at % ID_BYTES:
                at = self._ring.find(client_id, at + 1, end)
            if at >= 0:
                return True
        return False

    def add(self, client_ids: Sequence[bytes]) -> None:
        """Remember ids that are not in here yet; the oldest go when there is no room."""
        for start in range(0, len(client_ids) if self.capacity else 0, max(self.capacity, 1)):
            self._add(client_ids[start : start + self.capacity])

    def _add(self, client_ids: Sequence[bytes]) -> None:
        """At most `capacity` ids."""
        for _ in range(self.head + len(client_ids) - self.tail - self.capacity):
            self._forget_oldest()
        table, mask = self._table, self._mask
        place = self.head % self.capacity
        for client_id in client_ids:
            slot = hash(client_id) & mask
            while table[slot]:
                slot = (slot + 1) & mask
            place += 1
            table[slot] = place
            if place == self.capacity:
                place = 0
        self._write(b"".join(client_ids))
        self.head += len(client_ids)

    def _write(self, ids: bytes) -> None:
        start = self.head % self.capacity * ID_BYTES
        room = len(self._ring) - start
        self._ring[start : start + len(ids[:room])] = ids[:room]
        self._ring[: len(ids[room:])] = ids[room:]

    def forget_before(self, number: int, at_most: int) -> None:
        """Forget ids with a lower number, a few at a time."""
        for _ in range(min(at_most, number - self.tail, len(self))):
            self._forget_oldest()

    def _home(self, place: int) -> int:
        return hash(self._ring[place * ID_BYTES - ID_BYTES : place * ID_BYTES]) & self._mask

    def _forget_oldest(self) -> None:
        table, mask = self._table, self._mask
        place = self.tail % self.capacity + 1
        is_unfound = self._waits_from <= self.tail < self._waits_to
        self.tail += 1
        if is_unfound:
            self._waits_from = self.tail
            return
        hole = self._home(place)
        while table[hole] != place:
            hole = (hole + 1) & mask
        slot = (hole + 1) & mask
        while other := table[slot]:  # what was pushed past the hole moves back into it
            if (slot - self._home(other)) & mask >= (slot - hole) & mask:
                table[hole] = other
                hole = slot
            slot = (slot + 1) & mask
        table[hole] = 0


def _zeros(size: int) -> mmap.mmap:
    """Memory that the system gives page by page when it is written."""
    return mmap.mmap(-1, max(size, ID_BYTES), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
