"""Delivery while rows must go: what waits for its first send is sent without them, what was sent stays."""

from tests.support.scripted_sink import Behaviour, Depends, Refuse, RejectBatch, ScriptedSink, Take
from tests.unit.batching.rig import Rig, numbered
from tracker.batching.judged_rows import GONE
from tracker.batching.person_rows import SpoolPersons
from tracker.events import Batch


class These:
    """Rows with these lines go."""

    def __init__(self, *lines: bytes) -> None:
        self.lines = set(lines)

    def may_concern(self, data: bytes) -> bool:
        return any(line in data for line in self.lines)

    def line(self, table: str, line: bytes) -> bytes:
        return GONE if line in self.lines else line


class SplitThenAway:
    """A batch of more than four rows is rejected, then nothing can be written until it is back."""

    def __init__(self) -> None:
        self.is_away = True
        self.refused = 0

    def choose(self, batch: Batch) -> Behaviour:
        if batch.rows > 4:
            return RejectBatch(lambda _: True)
        if self.is_away:
            self.refused += 1
            return Refuse(is_connection=False)
        return Take()

    def rig(self) -> Rig:
        sink = ScriptedSink()
        sink.always["events"] = Depends(self.choose)
        return Rig(sink)


async def test_the_half_that_was_never_sent_is_cut_anew_and_the_sent_one_stays() -> None:
    behaviour = SplitThenAway()
    rig = behaviour.rig()
    rows = numbered(8)
    async with rig:
        await rig.add(rows)
        await rig.until(lambda: behaviour.refused)
        persons = SpoolPersons(rig.spool, rig.batcher.call, rig.batcher.read)

        removed = await persons.remove(These(rows[1], rows[6]))

        assert (dict(removed.dropped), removed.left) == ({(rig.sink.name, "events"): 1}, 1)
        behaviour.is_away = False
        await rig.until_empty()
        assert rig.sink.lines("events") == [row for row in rows if row != rows[6]]
        (total,) = await rig.batcher.totals()
        assert (total.delivered, total.dropped, total.difference) == (7, {"forgotten": 1}, 0)


async def test_a_half_of_which_nothing_is_left_is_passed_over() -> None:
    behaviour = SplitThenAway()
    rig = behaviour.rig()
    rows = numbered(8)
    async with rig:
        await rig.add(rows)
        await rig.until(lambda: behaviour.refused)
        await SpoolPersons(rig.spool, rig.batcher.call, rig.batcher.read).remove(These(*rows[4:]))
        behaviour.is_away = False
        await rig.add(numbered(1, first=9))
        await rig.until_empty()
        assert rig.sink.lines("events") == [*rows[:4], *numbered(1, first=9)]


async def test_all_that_waits_may_go_at_once() -> None:
    behaviour = SplitThenAway()
    rig = behaviour.rig()
    async with rig:
        await rig.add(numbered(2))
        await rig.until(lambda: behaviour.refused)
        await rig.add(numbered(3, first=2))
        remove = SpoolPersons(rig.spool, rig.batcher.call, rig.batcher.read).remove
        assert (await remove(These(*numbered(5)))).left == 2
        behaviour.is_away = False
        await rig.until_empty()
        assert rig.sink.lines("events") == numbered(2)
        assert (await remove(These(*numbered(5)))) == ({}, 0)
