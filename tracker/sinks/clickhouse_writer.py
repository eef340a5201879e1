"""Batches into the tables of one server or engine, each row exactly once however often it is sent.

Its tables merge rows of the same key, so a row that was inserted twice counts once; a token keeps most
repeats from being stored at all; and after a repeat the rows are looked up, since a token proves nothing.
"""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from tracker.errors import BatchRejected, ConfigError, RowsRejected, SchemaMismatch, SinkUnavailable
from tracker.events import Batch
from tracker.sinks import ndjson
from tracker.sinks.clickhouse_engine import Complaint, Engine, Settings
from tracker.sinks.clickhouse_errors import Meaning, Undecided, name_of, reaction, row_reason, words_of
from tracker.sinks.clickhouse_guilty import find_guilty, no_rows
from tracker.sinks.clickhouse_lookup import missing
from tracker.sinks.clickhouse_schema import MAY_NOT, Layout, bring_up_to_date, differences
from tracker.sinks.seed import read_seed
from tracker.tables import CATALOGUE, Table
from tracker.tables.people import JURISDICTIONS

READING: Settings = MappingProxyType(
    {
        "date_time_input_format": "best_effort",
        # else an array of several types in a document would become one of text or of numbers
        "input_format_json_read_arrays_as_strings": 0,
        "input_format_json_read_bools_as_numbers": 0,
        "input_format_json_read_bools_as_strings": 0,
        "input_format_json_read_numbers_as_strings": 0,
        "input_format_parallel_parsing": 0,  # one reader: rows are numbered as they were sent
        "input_format_skip_unknown_fields": 0,  # a missing column is an error, not a silent loss
        "input_format_try_infer_dates": 0,
        "input_format_try_infer_datetimes": 0,
        "json_type_escape_dots_in_keys": 1,
        "type_json_skip_duplicated_paths": 1,
    }
)
"""How lines are read, so that a document comes back as it was sent."""
WRITING: Settings = MappingProxyType(
    {
        "async_insert": 0,
        "max_insert_block_size": 1 << 30,
        "max_partitions_per_insert_block": 0,
        "min_insert_block_size_bytes": 0,
        "min_insert_block_size_rows": 1 << 30,
    }
)
"""The whole batch is read before any of it is stored, as one part for each month."""


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """What a writer is told beside its engine."""

    folder: Path
    """Of the numbered SQL."""
    layout: Layout
    write_seconds: float


class Writer:
    """One server or engine. Raises Complaint and Unreachable as they come where the store cannot work now."""

    def __init__(self, engine: Engine, settings: WriterSettings) -> None:
        self.engine = engine
        self._settings = settings
        self._writing = {**READING, **WRITING, **_promises(settings)}
        self._misfits: Mapping[str, str] = {}
        self._is_ready = False
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Connect and bring the schema up to date, once.

        Raises SinkUnavailable where a person must mend what the schema needs there, beside the usual.
        """
        async with self._opening:
            await self.engine.open()
            if not self._is_ready:
                await self._be_up_to_date()
                self._is_ready = True

    async def _be_up_to_date(self) -> None:
        try:
            await bring_up_to_date(self.engine, self._settings.folder, self._settings.layout)
            await self._compare()
            await self._seed()
        except ConfigError as error:  # the other stores and the spool go on; it is looked at again
            raise SinkUnavailable(f"clickhouse {self.engine.place}: {error}") from error
        except Complaint as complaint:
            known = reaction(complaint)
            if known and known.meaning not in (Meaning.ROWS, Meaning.SHAPE):
                raise
            reason = f"clickhouse {self.engine.place}: the schema cannot be made: {words_of(complaint)}"
            raise SinkUnavailable(reason) from None

    async def _seed(self) -> None:
        """Put in the jurisdictions that are not there; a user who may not does without."""
        shipped = await asyncio.to_thread(read_seed, self._settings.folder)
        if shipped is None or JURISDICTIONS.name in self._misfits:
            return
        lines = list(shipped.lines.values())
        try:
            left = await missing(self.engine, JURISDICTIONS, ndjson.joined(lines))
            if left:
                data = ndjson.joined([lines[row] for row in left])
                await self._insert(JURISDICTIONS, data, f"seed+{uuid.uuid4()}")
        except Complaint as complaint:
            if complaint.code not in MAY_NOT:
                raise

    async def write(self, batch: Batch) -> None:
        """As `Sink.write`, for an open writer; LookupError for a table that the catalogue does not have."""
        table = CATALOGUE.get(batch.table)
        if table is None:
            raise LookupError(f"the catalogue has no table {batch.table}")
        if batch.rows == 0:
            return
        if table.name in self._misfits:
            await self._fits(table)
        try:
            await self._insert(table, batch.data, batch.id)
            if batch.is_repeat:
                await self._complete(table, batch)
        except Complaint as complaint:
            await self._judge(table, batch, complaint)

    async def has_some_of(self, batch: Batch) -> bool:
        """Any row of the batch is there. A batch with a row that cannot be stored never was."""
        table = CATALOGUE[batch.table]
        if no_rows(table, ndjson.lines(batch.data)):
            return False
        try:
            return len(await missing(self.engine, table, batch.data)) < batch.rows
        except Complaint as complaint:
            known = reaction(complaint)
            if known and known.meaning is Meaning.ROWS:
                return False
            raise

    async def probe(self) -> None:
        """Ask whether it answers, also when it never did."""
        await self.engine.open()
        await self.engine.ask("SELECT 1", anywhere=True)

    async def close(self) -> None:
        """As `Engine.close`."""
        self._is_ready = False
        await self.engine.close()

    async def _insert(self, table: Table, data: bytes, token: str) -> None:
        settings = {**self._writing, "insert_deduplication_token": token}
        await self.engine.insert(table.name, data, settings)

    async def _complete(self, table: Table, batch: Batch) -> None:
        """Store what the token kept out although it is not there, under a token that nobody has seen."""
        left = await missing(self.engine, table, batch.data)
        if left:
            lines = ndjson.lines(batch.data)
            data = ndjson.joined([lines[row] for row in left])
            await self._insert(table, data, f"{batch.id}+{uuid.uuid4()}")

    async def _judge(self, table: Table, batch: Batch, complaint: Complaint) -> NoReturn:
        """Raise what delivery should do; the driver's error ends here, for it quotes rows."""
        known = reaction(complaint)
        if known and known.meaning not in (Meaning.ROWS, Meaning.SHAPE):
            if known.meaning is Meaning.CLOSED:
                self._is_ready = False  # what was true of its schema need not be so when it lets us in again
            raise complaint
        await self._fits(table)
        if known is None:
            raise Undecided(complaint) from None
        if known.meaning is Meaning.SHAPE:
            reason = (
                f"clickhouse {self.engine.place}: {known.why}, yet its schema fits ({name_of(complaint)})"
            )
            raise SinkUnavailable(reason, is_connection=False) from None
        reasons = await self._guilty(table, batch)
        if reasons:
            raise RowsRejected(reasons) from None
        raise BatchRejected(row_reason(complaint)) from None

    async def _guilty(self, table: Table, batch: Batch) -> dict[int, str]:
        """Empty when nobody can say, as a user who may do nothing but insert."""
        try:
            return await find_guilty(self.engine, table, batch.data, READING)
        except Complaint as complaint:
            known = reaction(complaint)
            if known and known.meaning is Meaning.CLOSED:
                return {}
            raise

    async def _fits(self, table: Table) -> None:
        """Raises SchemaMismatch unless the table is as it must be."""
        await self._compare()
        if table.name in self._misfits:
            raise SchemaMismatch(f"clickhouse {self.engine.place}: {self._misfits[table.name]}") from None

    async def _compare(self) -> None:
        self._misfits = await differences(self.engine, self._settings.layout, self._settings.folder)


def _promises(settings: WriterSettings) -> Settings:
    """What an insert waits for before it is answered."""
    layout = settings.layout
    if not layout.cluster:
        return {}
    here: Settings = {"distributed_foreground_insert": 1}
    if layout.durability != "power-loss":
        return here
    wait = round(settings.write_seconds * 1000 / 2)
    return {**here, "insert_quorum": "auto", "insert_quorum_timeout": wait}
