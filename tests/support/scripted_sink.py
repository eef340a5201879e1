"""A sink that misbehaves as told and remembers what took effect, by batch id, like a store with a ledger.

Left alone it is a sink like any other and passes their suite.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tracker.errors import BatchRejected, RowsRejected, SinkUnavailable
from tracker.events import Batch


@dataclass(frozen=True)
class Take:
    """The batch takes effect, after so many seconds and not before it is told."""

    after_seconds: float = 0.0
    when: asyncio.Event | None = None


@dataclass(frozen=True)
class Hang:
    """The call never ends; a stubborn one ignores being cancelled until the sink lets go of it."""

    is_stubborn: bool = False


@dataclass(frozen=True)
class Refuse:
    """Unavailable, nothing written."""

    reason: str = "connection refused"
    retry_after_seconds: float | None = None
    is_connection: bool = True


@dataclass(frozen=True)
class HangAfterWriting:
    """The batch takes effect, the answer never comes."""


@dataclass(frozen=True)
class RejectRows:
    """The rows whose line this is true for are named, nothing is written; a batch without any is taken."""

    is_bad: Callable[[bytes], bool]


@dataclass(frozen=True)
class RejectBatch:
    """A batch with any such row is refused whole, nobody is named, nothing is written."""

    is_bad: Callable[[bytes], bool]


@dataclass(frozen=True)
class RejectPositions:
    """These positions are named whatever the batch holds, in it or not."""

    positions: tuple[Any, ...]
    reason: Any = "bad"


@dataclass(frozen=True)
class Raise:
    """Something no sink should raise."""

    error: BaseException


@dataclass(frozen=True)
class Return:
    """An answer, which no sink should give; nothing is written."""

    answer: object


@dataclass(frozen=True)
class Depends:
    """Whatever the batch asks for."""

    choose: "Callable[[Batch], Behaviour]"


_NOW = asyncio.Event()
_NOW.set()

Behaviour = (
    Take
    | Hang
    | Refuse
    | HangAfterWriting
    | RejectRows
    | RejectBatch
    | RejectPositions
    | Raise
    | Return
    | Depends
)


@dataclass(frozen=True)
class Write:
    """One call of `write`."""

    batch: Batch
    at: float
    """The loop's time at which it came."""


class ScriptedSink:
    """Behaves by what `next` lists for a table (once each), else by `always`, else takes everything."""

    rest_seconds = 0.0

    def __init__(self, name: str = "scripted", parallel: int = 1) -> None:
        self.name = name
        self.parallel = parallel
        self.next: dict[str, deque[Behaviour]] = defaultdict(deque)
        self.always: dict[str, Behaviour] = {}
        self.opening: deque[Behaviour] = deque()
        self.writes: list[Write] = []
        self.effects: dict[str, Batch] = {}
        """What took effect: the first batch of each id."""
        self.is_open = False
        self.opens = 0
        self.closes = 0
        self.under_way = 0
        self.most_under_way = 0
        self.closing_lets_go = True
        self._let_go = asyncio.Event()
        self._happened = asyncio.Condition()

    def lines(self, table: str) -> list[bytes]:
        """Every row of the table that took effect, in the order it did."""
        batches = [batch for batch in self.effects.values() if batch.table == table]
        return [line for batch in batches for line in lines_of(batch)]

    def batches(self, table: str) -> list[Batch]:
        """Every batch of the table that was sent, in order, repeats included."""
        return [write.batch for write in self.writes if write.batch.table == table]

    def let_go(self) -> None:
        """End the calls that hang now."""
        self._let_go.set()
        self._let_go = asyncio.Event()

    async def until(self, is_true: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until something about this sink is true; it is asked after each call."""
        async with asyncio.timeout(seconds), self._happened:
            await self._happened.wait_for(is_true)

    async def open(self) -> None:
        self.opens += 1
        await self._behave(self.opening.popleft() if self.opening else Take(), None)
        self.is_open = True

    async def write(self, batch: Batch) -> Any:
        self._need_to_be_open()
        self.writes.append(Write(batch, asyncio.get_running_loop().time()))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await self._tell()
        try:
            return await self._behave(self._behaviour(batch.table), batch)
        finally:
            self.under_way -= 1
            await self._tell()

    async def check(self) -> None:
        self._need_to_be_open()
        await self._behave(self.opening[0] if self.opening else Take(), None)

    async def close(self) -> None:
        self.closes += 1
        self.is_open = False
        if self.closing_lets_go:
            self.let_go()

    def _need_to_be_open(self) -> None:
        if not self.is_open:
            raise SinkUnavailable(f"{self.name} is not open")

    def _behaviour(self, table: str) -> Behaviour:
        queue = self.next[table]
        return queue.popleft() if queue else self.always.get(table, Take())

    async def _behave(self, behaviour: Behaviour, batch: Batch | None) -> object:
        match behaviour:
            case Take(seconds, when):
                await asyncio.sleep(seconds)
                await (when or _NOW).wait()
            case Hang(is_stubborn):
                await self._hang(is_stubborn)
            case Refuse(reason, wish, is_connection):
                raise SinkUnavailable(reason, wish, is_connection=is_connection)
            case HangAfterWriting():
                self._take(batch)
                await self._hang(False)
            case RejectRows(is_bad) if reasons := dict(_bad(batch, is_bad)):
                raise RowsRejected(reasons)
            case RejectBatch(is_bad) if reasons := dict(_bad(batch, is_bad)):
                raise BatchRejected("something is wrong")
            case RejectPositions(positions, reason):
                raise RowsRejected(dict.fromkeys(positions, reason))
            case Return(answer):
                return answer
            case Depends(choose) if batch is not None:
                return await self._behave(choose(batch), batch)
            case Raise(error):
                raise error
        self._take(batch)
        return None

    def _take(self, batch: Batch | None) -> None:
        if batch is not None:
            known = self.effects.setdefault(batch.id, batch)
            assert known.data == batch.data, "one id came with two contents"

    async def _hang(self, is_stubborn: bool) -> None:
        let_go = self._let_go
        while True:
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                if not is_stubborn:
                    raise
            else:
                raise SinkUnavailable("let go")

    async def _tell(self) -> None:
        async with self._happened:
            self._happened.notify_all()


def lines_of(batch: Batch) -> list[bytes]:
    """A batch's rows."""
    return batch.data.splitlines()


def _bad(batch: Batch | None, is_bad: Callable[[bytes], bool]) -> Iterator[tuple[int, str]]:
    for position, line in enumerate(lines_of(batch) if batch else ()):
        if is_bad(line):
            yield position, "bad value"
