"""Databases that hold payments as binary fractions become exact, and keep their rows."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.batches import batch
from tests.support.clickhouse import embedded_engine
from tests.support.rows import uuid_of
from tests.unit.sinks.places import ask, settings_in
from tracker.sinks.clickhouse_schema import FOLDER, Layout, bring_up_to_date, differences, mend
from tracker.sinks.duckdb import DuckDbSink
from tracker.sinks.duckdb_file import open_database
from tracker.sinks.registry import SCHEMA

MEMORY = Layout(durability="memory")
AMOUNTS = {1: 99.99, 2: 0.1, 3: -20.5, 4: 8.125}
INSERT = "INSERT INTO payments (id, uid, oid, revenue, qty) VALUES "
PAID = "SELECT id_type, currency, paid FROM ltv ORDER BY id_type"
ROWS = "SELECT revenue, qty, params FROM payments ORDER BY revenue"


def before(folder: Path, source: Path, last: int) -> Path:
    """The numbered files up to one."""
    folder.mkdir()
    for file in source.glob("*.sql"):
        if int(file.name[:4]) <= last:
            shutil.copy(file, folder)
    return folder


def values() -> str:
    """The old rows as SQL has them, amounts as binary fractions."""
    return ", ".join(
        f"('{uuid_of(number)}', '{uuid_of(9)}', '{uuid_of(8)}', {amount}, {number})"
        for number, amount in AMOUNTS.items()
    )


async def test_a_duckdb_file_is_brought_up_to_date_with_its_payments(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    old = open_database(replace(settings, schema=before(tmp_path / "sql", SCHEMA / "duckdb", 4)))
    old.connection.execute(INSERT + values())
    old.close()
    sink = DuckDbSink(settings)
    await sink.open()
    try:
        again = {"id": uuid_of(2), "uid": uuid_of(9), "oid": uuid_of(8), "revenue": "0.2", "params": {"a": 1}}
        await sink.write(batch([again], "payments"))
        assert await ask(sink, PAID) == [["uid", "USD", "87.815000000"]]
        assert (await ask(sink, ROWS))[1] == ["0.200000000", "0.000000000", {"a": 1}]
    finally:
        await sink.close()


@pytest.mark.long
async def test_a_clickhouse_database_is_brought_up_to_date_with_its_payments(tmp_path: Path) -> None:
    pytest.importorskip("chdb")
    async with embedded_engine(tmp_path) as engine:
        await bring_up_to_date(engine, before(tmp_path / "sql", FOLDER, 2), MEMORY)
        await engine.command(INSERT + values())
        for _ in range(2):
            await bring_up_to_date(engine, FOLDER, MEMORY)
        assert await differences(engine, MEMORY) == {}
        assert (await engine.ask(PAID)).rows == [["uid", "USD", "87.715000000"]]
        assert (await engine.ask(ROWS)).rows[1] == ["0.100000000", "2.000000000", {}]
        await engine.command("RENAME TABLE payments TO payments_before")
        await mend(engine, FOLDER, MEMORY)  # made exact at once
        assert await differences(engine, MEMORY) == {}
