"""A ClickHouse database copied and restored, through whatever runs its SQL: the embedded engine or a server.

ClickHouse knows no moment for several tables: each is read as it is when its reading begins, deduplicated. A
restore writes as the sink does, after it has made sure that nothing is there but what the copy holds.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import orjson
import uuid_utils

from tracker.errors import QueryError, SinkError, TrackerError
from tracker.events import Batch
from tracker.sinks import ndjson
from tracker.sinks.backup import Copy, Digest, known, newer_rows, refuse_difference, refuse_newer_columns
from tracker.sinks.base import Sink
from tracker.sinks.clickhouse import engine_of, from_settings
from tracker.sinks.clickhouse_engine import Engine, Settings
from tracker.sinks.clickhouse_places import first_open, translated
from tracker.sinks.registry import SinkSettings
from tracker.tables import CATALOGUE, Kind, Table

READING: Settings = {
    "date_time_output_format": "simple",
    "output_format_json_quote_denormals": 1,
    "max_block_size": 1024,
    "max_threads": 1,
    "read_overflow_mode": "throw",
    "result_overflow_mode": "throw",
    "skip_unavailable_shards": 0,
    "timeout_overflow_mode": "throw",
}
"""Beside an engine's own settings, whatever a user's profile says: values that can be read again, what is not
finite as text, every row or an error, and little memory."""
PIECE_BYTES = 32 << 20
"""Of one insert; a part for each month is made of it."""
COLUMNS = (
    "SELECT table, name FROM system.columns "
    "WHERE database = currentDatabase() AND default_kind IN ('', 'DEFAULT') ORDER BY table, position"
)
ASKED_BYTES = 100_000
"""Keys in one question: ClickHouse reads statements up to 256 KB."""
_TIMES = frozenset({Kind.TIMESTAMP, Kind.NANOTIME})


class ClickHouseSnapshot:
    """A `Snapshot` over an open engine of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def is_one_moment(self) -> bool:
        """Never, while something writes."""
        return False

    async def tables(self) -> Mapping[str, Sequence[str]]:
        """As `Snapshot.tables`."""
        found: dict[str, list[str]] = {}
        with translated(self._engine):
            for table, column in (await self._engine.ask(COLUMNS)).rows:
                if table in CATALOGUE:
                    found.setdefault(table, []).append(column)
        if not found:
            raise QueryError(
                f"clickhouse {self._engine.place}: {self._engine.database} has none of the tables"
            )
        return known(found)

    async def rows(self, table: str, columns: Sequence[str]) -> AsyncGenerator[bytes, None]:
        """As `Snapshot.rows`."""
        question = f"SELECT {', '.join(columns)} FROM {table} FINAL"  # noqa: S608 (the catalogue's names)
        with translated(self._engine):
            async with aclosing(self._engine.stream(question, READING)) as pieces:
                async for piece in pieces:
                    yield piece


@asynccontextmanager
async def snapshot(settings: SinkSettings, sink: Sink | None) -> AsyncIterator[ClickHouseSnapshot]:
    """As `backup.snapshot_of`; an engine in this process can have several users."""
    async with _engine(settings) as engine:
        yield ClickHouseSnapshot(engine)


@asynccontextmanager
async def _engine(settings: SinkSettings) -> AsyncIterator[Engine]:
    """An open engine of its own. Raises QueryError."""
    engine = await first_open(settings.name, (engine_of(place) for place in _places(settings)))
    try:
        yield engine
    finally:
        await engine.close()


def _places(settings: SinkSettings) -> Sequence[SinkSettings]:
    """Where all rows are, in the order of trying. Raises QueryError when each place has rows of its own."""
    server = settings.server
    if server is None:
        return [settings]
    if len(server.hosts) > 1 and not server.cluster:
        raise QueryError(
            f"{settings.name}: each of its hosts holds rows of its own; use a configuration that names one"
        )
    return [replace(settings, server=replace(server, hosts=(host,))) for host in server.hosts]


async def restore(settings: SinkSettings, copy: Copy) -> Mapping[str, int]:
    """As `backup.restore`."""
    tables = [table for table in copy.tables if table in CATALOGUE]
    _places(settings)
    sink = from_settings(settings)
    try:
        await sink.open()
        async with _engine(settings) as engine:
            await _refuse_newer(engine, copy)
            for table in tables:
                await _write(sink, table, copy)
            for table in tables:
                await _verify(engine, table, copy)
    except SinkError as error:
        raise TrackerError(f"{settings.name}: {error}") from error
    finally:
        await sink.close()
    return {table: copy.tables[table].rows for table in tables}


async def _write(sink: Sink, table: str, copy: Copy) -> None:
    for data, rows in copy.pieces(table, PIECE_BYTES):
        await sink.write(Batch(str(uuid_utils.uuid7()), table, rows, data))


async def _verify(engine: Engine, table: str, copy: Copy) -> None:
    """Read what was written and compare it with what was copied. Raises TrackerError."""
    extent, found = copy.tables[table], Digest()
    async with aclosing(ClickHouseSnapshot(engine).rows(table, extent.columns)) as pieces:
        async for piece in pieces:
            found.add(piece)
    refuse_difference(table, extent, found, is_same_service=copy.service == "clickhouse")


async def _refuse_newer(engine: Engine, copy: Copy) -> None:
    """Raise TrackerError when the store holds what the copy has not."""
    held = {}
    for table in CATALOGUE:
        with translated(engine):
            (((rows,),)) = (await engine.ask(f"SELECT count() FROM {table} FINAL", READING)).rows  # noqa: S608 (the catalogue's)
        if rows:
            held[table] = int(rows)
    refuse_newer_columns(copy, list(held))
    for table, rows in held.items():
        found = await _count_known(engine, CATALOGUE[table], copy)
        if found < rows:
            raise newer_rows(table, rows - found)


async def _count_known(engine: Engine, table: Table, copy: Copy) -> int:
    """How many rows of the store the copy has, or has newer."""
    found = 0
    for data, _ in copy.pieces(table.name, PIECE_BYTES):
        for versions in _asked(table, data):
            with translated(engine):
                told = await engine.ask(_question(table, versions), READING)
            found += sum(1 for row in told.rows if _is_known(table, row, versions))
    return found


Key = tuple[str | int, ...]


def _asked(table: Table, data: bytes) -> Iterator[dict[Key, str | int]]:
    """Keys and versions of the lines, as many as one question takes."""
    versions: dict[Key, str | int] = {}
    size = 0
    for line in ndjson.lines(data):
        values = orjson.loads(line)
        key = tuple(values[name] for name in table.key)
        versions[tuple(_plain(table, name, value) for name, value in zip(table.key, key, strict=True))] = (
            _plain(table, table.version, values[table.version]) if table.version else 0
        )
        size += sum(len(str(value)) + 6 for value in key)
        if size > ASKED_BYTES:
            yield versions
            versions, size = {}, 0
    if versions:
        yield versions


def _question(table: Table, versions: Mapping[Key, str | int]) -> str:
    columns = [*table.key, *([table.version] if table.version else [])]
    keys = ", ".join(f"({_texts(key)})" for key in versions)
    return f"SELECT {', '.join(columns)} FROM {table.name} FINAL WHERE ({', '.join(table.key)}) IN ({keys})"  # noqa: S608 (escaped)


def _is_known(table: Table, row: Sequence[str | int], versions: Mapping[Key, str | int]) -> bool:
    if table.version is None:
        return True
    *key, version = row
    plain = tuple(_plain(table, name, value) for name, value in zip(table.key, key, strict=True))
    copied = versions.get(plain)
    return copied is not None and not _is_less(copied, _plain(table, table.version, version))


def _is_less(one: str | int, other: str | int) -> bool:
    return str(one) < str(other) if isinstance(one, str) or isinstance(other, str) else one < other


def _plain(table: Table, name: str, value: str | int) -> str | int:
    """Times without zeros at the end, so that two ways of writing one are equal."""
    if isinstance(value, str) and table.kinds()[name] in _TIMES:
        return value.removesuffix("Z").rstrip("0").rstrip(".") if "." in value else value.removesuffix("Z")
    return value


def _texts(values: Sequence[str | int] | Mapping[str, object]) -> str:
    return ", ".join(_literal(value) for value in values)


def _literal(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
