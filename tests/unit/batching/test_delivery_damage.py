"""Rows that cannot be read any more never hold up the rows behind them, of their table or of another."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.scripted_sink import HangAfterWriting, ScriptedSink
from tests.unit.batching.rig import NEVER, Rig, numbered


async def _committed(rig: Rig) -> None:
    """Three chunks of events and one of hosts, none of them due."""
    for first in range(0, 9, 3):
        await rig.add(numbered(3, first))
    await rig.add(numbered(3), "hosts")


def _in_the_file(rig: Rig, sql: str) -> None:
    """Change the file as no process of ours would."""
    with closing(sqlite3.connect(Path(rig.folder.name) / "spool.db", isolation_level=None)) as db:
        db.execute(sql)


async def test_changed_rows_are_left_out_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    async with Rig(batching={"events": NEVER}) as rig:
        await _committed(rig)
        _in_the_file(
            rig, "UPDATE chunks SET data = CAST('{\"n\": 7}' AS BLOB) WHERE tbl = 'events' AND first = 4"
        )
        assert await rig.delivery.drain(20)
        assert rig.sink.lines("events") == numbered(3) + numbered(3, 6)
        assert rig.sink.lines("hosts") == numbered(3)
        (events,) = [total for total in await rig.batcher.totals() if total.table == "events"]
        assert (events.accepted, events.delivered, events.difference) == (9, 6, 0)
        assert dict(events.dropped) == {"damaged_spool": 3}
        assert caplog.messages.count("damaged rows are lost") == 1


async def test_a_batch_that_was_written_before_its_rows_changed_is_not_written_again() -> None:
    sink = ScriptedSink()
    sink.next["events"].append(HangAfterWriting())
    async with Rig(sink, write_timeout_seconds=0.5) as rig:
        await rig.add(numbered(3))
        await rig.until(lambda: sink.effects)
        _in_the_file(rig, "UPDATE chunks SET data = CAST('{\"n\": 7}' AS BLOB) WHERE tbl = 'events'")
        await rig.add(numbered(3, 3))
        await rig.until_empty()
        assert sink.lines("events") == numbered(6)
        (events,) = await rig.batcher.totals()
        assert (events.delivered, dict(events.dropped)) == (3, {"damaged_spool": 3})


async def test_a_batch_of_which_it_cannot_be_told_what_is_missing_waits_for_the_next_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Rig(batching={"events": NEVER}) as rig:
        await _committed(rig)
        _in_the_file(rig, "DELETE FROM chunks WHERE tbl = 'events' AND first = 4")
        assert await rig.delivery.drain(20)
        await rig.add(numbered(3, 9))
        await rig.until_empty()
        assert rig.sink.lines("events") == numbered(3, 9)
        assert rig.sink.lines("hosts") == numbered(3)
        assert caplog.messages.count("a damaged batch waits for the next start") == 1
        (sealed,) = [held.sealed for held in rig.spool.memory.held.values()]
        assert sealed.rows == 9
        await rig.close()
        rig.open()
        await rig.delivery.start()
        await rig.until_empty()
        assert rig.sink.lines("events") == numbered(3, 9) + numbered(3) + numbered(3, 6)
        assert rig.sink.writes[-1].batch.id == sealed.id
        (events,) = [total for total in await rig.batcher.totals() if total.table == "events"]
        assert (events.accepted, events.delivered, dict(events.dropped)) == (12, 9, {"damaged_spool": 3})
