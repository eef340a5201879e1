"""What every sink must do, whatever stands behind it, and what a store of tables must do beside that.

A sink's test subclasses `SinkSuite`, or `TableSuite` when it keeps typed tables, and says how to make it.
"""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.batches import batch, event, line
from tracker.errors import RowsRejected, SinkUnavailable
from tracker.sinks.base import Sink

Row = dict[str, Any]


class SinkSuite:
    """Subclass it as `Test…`, with `make` and `rows_of`."""

    def make(self, folder: Path) -> Sink:
        """A sink that is not open, whose data lies in or belongs to `folder`."""
        raise NotImplementedError

    async def rows_of(self, sink: Sink, table: str) -> list[Row]:
        """Every row of a table of an open sink: column to value, JSON read, ids as text."""
        raise NotImplementedError

    def kept(self, document: Any) -> Any:
        """A JSON document as the store gives it back; all of it where the store keeps text."""
        return document

    @pytest.fixture
    async def sink(self, tmp_path: Path) -> Any:
        sink = self.make(tmp_path)
        await sink.open()
        yield sink
        await sink.close()

    async def ids_of(self, sink: Sink) -> list[str]:
        return sorted(row["eid"] for row in await self.rows_of(sink, "events"))

    async def test_close_is_safe_before_open_and_twice(self, tmp_path: Path) -> None:
        sink = self.make(tmp_path)
        await sink.close()
        await sink.open()
        await sink.close()
        await sink.close()

    async def test_open_is_safe_when_open(self, sink: Sink) -> None:
        await sink.write(batch([event()]))
        await sink.open()
        assert len(await self.rows_of(sink, "events")) == 1

    async def test_its_name_stays_and_it_takes_at_least_one_write(self, tmp_path: Path, sink: Sink) -> None:
        assert sink.name == self.make(tmp_path).name
        assert sink.parallel >= 1

    async def test_what_is_not_open_is_unavailable(self, tmp_path: Path) -> None:
        sink = self.make(tmp_path)
        with pytest.raises(SinkUnavailable):
            await sink.write(batch([event()]))
        with pytest.raises(SinkUnavailable):
            await sink.check()

    async def test_an_open_sink_answers_its_check(self, sink: Sink) -> None:
        await sink.check()

    async def test_a_written_batch_is_there(self, sink: Sink) -> None:
        rows = [event(ename=f"e{number}") for number in range(3)]
        await sink.write(batch(rows))
        assert await self.ids_of(sink) == sorted(row["eid"] for row in rows)

    async def test_a_written_batch_is_there_after_opening_again(self, sink: Sink) -> None:
        await sink.write(batch([event()]))
        await sink.close()
        await sink.open()
        assert len(await self.rows_of(sink, "events")) == 1

    async def test_three_deliveries_of_a_batch_are_one_set_of_rows(self, sink: Sink) -> None:
        sent = batch([event() for _ in range(200)])
        for _ in range(3):
            await sink.write(sent)
        assert len(await self.rows_of(sink, "events")) == 200

    async def test_a_repeat_after_opening_again_takes_no_effect(self, sink: Sink) -> None:
        sent = batch([event() for _ in range(200)])
        await sink.write(sent)
        await sink.close()
        await sink.open()
        await sink.write(replace(sent, is_repeat=True))
        assert len(await self.rows_of(sink, "events")) == 200

    async def test_a_cancelled_write_sent_again_takes_effect_once(self, sink: Sink) -> None:
        sent = batch([event(params={"n": number}) for number in range(5000)])
        for after_seconds in (0.0, 0.001, 0.01, 0.05, 0.1):
            writing = asyncio.ensure_future(sink.write(sent))
            await asyncio.sleep(after_seconds)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        await sink.write(replace(sent, is_repeat=True))
        assert len(await self.rows_of(sink, "events")) == 5000

    async def test_as_many_writes_at_once_as_it_allows(self, sink: Sink) -> None:
        batches = [batch([event()]) for _ in range(sink.parallel)]
        await asyncio.gather(*(sink.write(one) for one in batches))
        assert len(await self.rows_of(sink, "events")) == sink.parallel

    async def test_a_new_id_is_a_new_batch_whatever_it_holds(self, sink: Sink) -> None:
        await sink.write(batch([event(ename="first")]))
        await sink.write(batch([event(ename="second")]))
        assert {row["ename"] for row in await self.rows_of(sink, "events")} == {"first", "second"}

    async def test_a_write_while_it_closes_takes_effect_or_is_unavailable_and_can_be_sent_again(
        self, sink: Sink
    ) -> None:
        sent = batch([event(params={"n": number}) for number in range(2000)])
        writing = asyncio.ensure_future(sink.write(sent))
        await asyncio.sleep(0)
        await sink.close()
        (ending,) = await asyncio.gather(writing, return_exceptions=True)
        assert ending is None or isinstance(ending, SinkUnavailable)
        await sink.open()
        await sink.write(replace(sent, is_repeat=True))
        assert len(await self.rows_of(sink, "events")) == 2000

    async def test_values_come_back_as_they_were_sent(self, sink: Sink) -> None:
        params = {"a": [1, {"b": None}], "Ünï": "☃ \\ \" '", "zero": "a\0b", "deep": nested(60), "": 1.5}
        await sink.write(batch([event(ename="x" * 1_000_000, params=params, lat=-1.25, vp_w=2**53 + 1)]))
        (row,) = await self.rows_of(sink, "events")
        assert row["ename"] == "x" * 1_000_000
        assert row["params"] == self.kept(params)
        assert (row["lat"], row["vp_w"]) == (-1.25, 2**53 + 1)


class TableSuite(SinkSuite):
    """For sinks that know the catalogue of tables: types, defaults, keys."""

    async def test_columns_left_out_are_at_their_default(self, sink: Sink) -> None:
        await sink.write(batch([event()]))
        (row,) = await self.rows_of(sink, "events")
        assert row["vid"] == "00000000-0000-0000-0000-000000000000"
        assert (row["ename"], row["duration"], row["lat"], row["is_client"]) == ("", 0, 0.0, False)
        assert row["params"] == {}

    async def test_bad_rows_are_named_exactly_and_nothing_is_written(self, sink: Sink) -> None:
        rows: list[Row | bytes] = [event() for _ in range(100)]
        rows[0] = line(event()).replace(b'"created_at":"2026', b'"created_at":"never')
        rows[57] = event(lat="north")
        rows[99] = b'{"eid": '
        with pytest.raises(RowsRejected) as caught:
            await sink.write(batch(rows))
        assert set(caught.value.reasons) == {0, 57, 99}
        assert await self.rows_of(sink, "events") == []

    async def test_the_rows_beside_bad_ones_go_under_a_child_id(self, sink: Sink) -> None:
        rows: list[Row | bytes] = [event() for _ in range(10)]
        rows[3] = event(vp_w="wide")
        with pytest.raises(RowsRejected) as caught:
            await sink.write(batch(rows))
        good = [row for number, row in enumerate(rows) if number not in caught.value.reasons]
        await sink.write(batch(good))
        assert len(await self.rows_of(sink, "events")) == 9

    async def test_a_key_that_is_no_column_is_rejected_by_name(self, sink: Sink) -> None:
        with pytest.raises(RowsRejected) as caught:
            await sink.write(batch([event(), event(enam="typo"), event()]))
        assert list(caught.value.reasons) == [1]
        assert "enam" in caught.value.reasons[1]

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
    @pytest.mark.parametrize("is_one_batch", [True, False])
    async def test_of_a_key_the_latest_version_stays_in_whatever_order(
        self, sink: Sink, order: tuple[int, ...], is_one_batch: bool
    ) -> None:
        sent = [
            {"id": "a", "updated_at": f"2026-11-22 03:00:0{number}.000Z", "msg": f"v{number}"}
            for number in order
        ]
        for rows in [sent] if is_one_batch else [[row] for row in sent]:
            await sink.write(batch(rows, "updates"))
        (row,) = await self.rows_of(sink, "updates")
        assert row["msg"] == "v2"


def nested(depth: int) -> Any:
    """An array in an array in an array …"""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value
