"""The jurisdictions that stores begin with: what the file says, and how each store takes it up."""

import asyncio
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pycountry
import pytest

from tests.support.batches import batch
from tests.support.copies import SERVICES, store_in
from tracker.sinks.base import Store
from tracker.sinks.registry import SCHEMA, SinkSettings, make_sink
from tracker.sinks.seed import Seed, read_seed

BOTH = ("duckdb", pytest.param("clickhouse", marks=pytest.mark.long))
FAMILIES = {"GDPR", "UK GDPR", "ePrivacy", "LGPD", "CCPA/CPRA", "PIPEDA"}
WITH_SIGNAL = {"CA", "CO", "CT", "DE", "MD", "MN", "MT", "NE", "NH", "NJ", "OR", "TX"}


def shipped() -> Seed:
    found = read_seed(SCHEMA / "duckdb")
    assert found is not None
    return found


COUNTRIES = {one.alpha_2 for one in pycountry.countries}
REGIONS = {one.code for one in pycountry.subdivisions}
ROWS = [json.loads(line) for line in shipped().lines.values()]


def test_each_law_is_there_and_names_its_text_and_sections() -> None:
    assert {row["regulation"] for row in ROWS} >= FAMILIES
    for row in ROWS:
        rules = row["rules"]
        assert rules["basis"] in ("opt-in", "opt-out")
        assert rules["source"].startswith("https://")
        assert rules["law"]
        assert rules["purposes"]
        assert rules["sections"]


def test_the_browsers_signal_counts_where_the_law_says_so() -> None:
    regions = {region for row in ROWS if row["rules"]["gpc"] for region in row["locs"]["regions"]}
    assert regions == {f"US-{state}" for state in WITH_SIGNAL}


def test_every_place_is_one() -> None:
    for row in ROWS:
        places = row["locs"]
        assert places.keys() <= {"countries", "regions"}
        assert any(places.values())
        assert set(places.get("countries", ())) <= COUNTRIES
        assert set(places.get("regions", ())) <= REGIONS


def test_nothing_in_it_is_lost_in_any_store() -> None:
    """ClickHouse's documents keep neither nulls nor empty objects."""
    assert "null" not in json.dumps(ROWS)
    assert "{}" not in json.dumps(ROWS)


async def jurisdictions(settings: SinkSettings, *, more: Mapping[str, Any] | None = None) -> Any:
    """What the store has once it is opened, after `more` was written to it."""
    sink = make_sink(settings)
    try:
        await sink.open()
        if more:
            await sink.write(batch([dict(more)], "jurisdictions"))
        return list(await cast(Store, sink).find("jurisdictions", {}))
    finally:
        await sink.close()


def by_key(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["regulation"], row["compliance"], row["seq"]))


@pytest.mark.parametrize("service", SERVICES)
async def test_every_store_has_them_once_however_often_it_is_opened(tmp_path: Path, service: str) -> None:
    settings = store_in(tmp_path, service)
    for _ in range(2):
        assert by_key(await jurisdictions(settings)) == by_key(ROWS)


@pytest.mark.parametrize("service", BOTH)
async def test_a_persons_later_row_stays_and_an_earlier_one_is_replaced(tmp_path: Path, service: str) -> None:
    settings = store_in(tmp_path, service)
    mine = {**ROWS[0], "rules": {"basis": "mine"}, "updated_at": "2027-01-01 00:00:00.000Z"}
    own = {**mine, "regulation": "House rules"}
    await jurisdictions(settings, more=mine)
    assert by_key(await jurisdictions(settings, more=own)) == by_key([mine, own, *ROWS[1:]])


@pytest.mark.parametrize("service", BOTH)
async def test_a_later_file_replaces_the_rows_of_the_one_before(tmp_path: Path, service: str) -> None:
    settings = store_in(tmp_path, service)
    await jurisdictions(settings)
    later = tmp_path / "schema"
    await asyncio.to_thread(shutil.copytree, SCHEMA, later)
    file = later / "jurisdictions.json"
    text = file.read_text("utf-8").replace("2026-11-23 00", "2026-12-24 00").replace('"opt-in"', '"opt-out"')
    file.write_text(text, encoding="utf-8")
    found = await jurisdictions(replace(settings, schema=later))
    assert {row["updated_at"] for row in found} == {"2026-12-24 00:00:00.000Z"}
    assert {row["rules"]["basis"] for row in found} == {"opt-out"}
