"""The client event ids of the last hours in memory: exact, bounded, oldest out first.

A ring holds the ids, an open-addressing table finds them: 24 bytes per id where a set would take 110.
The spool keeps the same ids on disk and fills this again at start.
"""

from collections.abc import Iterable, Sequence

ID_BYTES = 16


class SeenIds:
    """The last `capacity` ids, numbered in the order they came; `start` is the number of the first.

    Pages of the ring and the table are taken from the system only when they are first written.
    """

    def __init__(self, capacity: int, start: int = 0) -> None:
        slots = 1 << max(4, (2 * capacity - 1).bit_length())
        self.capacity = capacity
        self.head = self.tail = start
        self._mask = slots - 1
        self._table = memoryview(bytearray(4 * slots)).cast("I")
        self._ring = bytearray(ID_BYTES * capacity)

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
        return found

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
        return hash(bytes(self._ring[place * ID_BYTES - ID_BYTES : place * ID_BYTES])) & self._mask

    def _forget_oldest(self) -> None:
        table, mask = self._table, self._mask
        place = self.tail % self.capacity + 1
        self.tail += 1
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
