"""The procedure on a real spool and real receipts: it ends when nothing is left, and goes on by itself."""

import stat
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.spools import NOW, open_spool, seal
from tracker.batching.person_rows import SpoolPersons
from tracker.batching.receipts import FILE, Receipts
from tracker.batching.spool import Spool
from tracker.errors import BadHit, QueryError
from tracker.events import Entry, Row
from tracker.persons.asked import Naming
from tracker.persons.forgotten import Forgotten
from tracker.persons.procedure import Places, Procedure
from tracker.steps import ids
from tracker.tables.persons import Person, is_of

ANNA, BOB, USER = ids.named("anna"), ids.named("bob"), ids.named("u")


class Kept:
    """A store in memory."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.tables = {"events": list(rows)}
        self.is_away = False

    async def visitors(self, users: Any, ehashes: Any) -> set[str]:
        return {row["vid"] for row in self.tables["events"] if row.get("uid") in users}

    async def counts(self, person: Person) -> dict[str, int]:
        found = {table: sum(is_of(person, table, row) for row in rows) for table, rows in self.tables.items()}
        return {table: rows for table, rows in found.items() if rows}

    async def erase(self, person: Person) -> None:
        for table, rows in self.tables.items():
            self.tables[table] = [row for row in rows if not is_of(person, table, row)]

    async def rows(self, person: Person) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        for row in self.tables["events"]:
            if is_of(person, "events", row):
                yield "events", row


@asynccontextmanager
async def opened(store: Kept) -> AsyncIterator[Kept]:
    if store.is_away:
        raise QueryError("away")
    yield store


def procedure(folder: Path, spool: Spool, *stores: Kept, told: list[Person] | None = None) -> Procedure:
    places = {f"s{number}": partial(opened, store) for number, store in enumerate(stores)}
    return Procedure(
        Places(SpoolPersons(spool), places),
        Receipts(folder),
        Forgotten(b"key"),
        Naming(ids.NAMESPACE, ""),
        lambda: NOW,
        60.0,
        (told if told is not None else []).append,
    )


def event(number: int, vid: str, **columns: str) -> Entry:
    line = orjson.dumps({"eid": f"{number:08}-0000-0000-0000-000000000000", "vid": vid, **columns})
    return Entry((Row("events", line),))


async def test_it_is_closed_when_every_place_has_nothing(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "s0")
    spool.commit([event(1, ANNA), event(2, BOB)], NOW)
    store, seen = Kept({"vid": ANNA}, {"vid": BOB}), list[Person]()
    told = await procedure(tmp_path, spool, store, told=seen).forget({"vid": "anna"})
    assert (told["state"], told["before"], told["after"]) == (
        "closed",
        {"spool": {"waiting": 1, "dead": 0}, "stores": {"s0": {"events": 1}}},
        {"spool": {"waiting": 0, "dead": 0}, "stores": {"s0": {}}},
    )
    assert told["dropped"] == {"events for s0": 1}
    assert store.tables["events"] == [{"vid": BOB}]
    assert seen == [Person(visitors=frozenset({ANNA}), texts=frozenset({"anna"}))]
    spool.close()


async def test_it_stays_open_while_a_batch_may_have_been_sent(tmp_path: Path) -> None:
    spool, store = open_spool(tmp_path, "s0"), Kept()
    spool.commit([event(1, ANNA)], NOW)
    sealed = seal(spool, "s0")
    erasing = procedure(tmp_path, spool, store)
    told = await erasing.forget({"vid": "anna"})
    assert (told["state"], told["under_way"]) == ("open", 1)
    assert await erasing.go_on()
    spool.finish(sealed)
    store.tables["events"].append({"vid": ANNA})

    again = procedure(tmp_path, spool, store)  # as after a restart
    assert not await again.go_on()

    receipt = await again.receipt(told["receipt"])
    assert receipt is not None
    assert receipt["state"] == "closed"
    assert store.tables["events"] == []
    spool.close()


async def test_a_store_that_is_away_is_named_and_done_later(tmp_path: Path) -> None:
    spool, near, far = open_spool(tmp_path, "s0", "s1"), Kept({"vid": ANNA}), Kept({"vid": ANNA, "uid": USER})
    far.is_away = True
    erasing = procedure(tmp_path, spool, near, far)
    told = await erasing.forget({"uid": "u"})
    assert (told["state"], told["away"], told["after"]["stores"]["s1"]) == ("open", {"s1": "away"}, None)
    assert near.tables["events"] == [{"vid": ANNA}]  # nobody who can be asked knows this visitor yet
    far.is_away = False
    assert not await erasing.go_on()
    assert near.tables["events"] == far.tables["events"] == []
    spool.close()


async def test_a_visitor_that_only_waiting_rows_know_is_found(tmp_path: Path) -> None:
    spool, store = open_spool(tmp_path, "s0"), Kept({"vid": ANNA})
    spool.commit([event(1, ANNA, uid=USER)], NOW)
    assert (await procedure(tmp_path, spool, store).forget({"uid": "u"}))["visitors"] == 1
    assert store.tables["events"] == []
    spool.close()


async def test_a_dry_run_changes_nothing_and_keeps_no_receipt(tmp_path: Path) -> None:
    spool, store = open_spool(tmp_path, "s0"), Kept({"vid": ANNA})
    told = await procedure(tmp_path, spool, store).forget({"vid": "anna", "dry_run": True})
    assert told["before"]["stores"] == {"s0": {"events": 1}}
    assert store.tables["events"] == [{"vid": ANNA}]
    assert not (tmp_path / FILE).exists()
    spool.close()


async def test_the_receipts_file_is_the_owners_and_forgets_whom_it_was_about(tmp_path: Path) -> None:
    spool, store = open_spool(tmp_path, "s0"), Kept()
    store.is_away = True
    erasing = procedure(tmp_path, spool, store)
    await erasing.forget({"vid": "anna"})
    path = tmp_path / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ANNA.encode() in path.read_bytes()  # needed until it is done
    store.is_away = False
    assert not await erasing.go_on()
    assert ANNA.encode() not in path.read_bytes()
    assert b"anna" not in path.read_bytes()
    spool.close()


async def test_who_was_forgotten_is_known_after_a_restart(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "s0")
    await procedure(tmp_path, spool).forget({"vid": "anna"})
    again = procedure(tmp_path, spool)
    assert not again._forgotten.is_active
    await again.start()
    assert again._forgotten.withholds({"vid": ANNA}, NOW + 59)
    spool.close()


async def test_an_export_has_every_line_and_says_what_was_not_asked(tmp_path: Path) -> None:
    spool, near, far = open_spool(tmp_path, "s0"), Kept({"vid": ANNA}), Kept()
    far.is_away = True
    spool.commit([event(1, ANNA, uid=USER)], NOW)
    parts = [part async for part in procedure(tmp_path, spool, near, far).export({"uid": "u"})]
    lines = [orjson.loads(part) for part in parts if isinstance(part, bytes)]
    assert [(line["place"], line["table"], line["row"]["vid"]) for line in lines] == [
        ("waiting", "events", ANNA),
        ("s0", "events", ANNA),
    ]
    assert parts[-1] == {"rows": {"waiting": 1, "s0": 1}, "away": {"s1": "away"}}
    spool.close()


async def test_what_cannot_be_asked_begins_nothing(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "s0")
    with pytest.raises(BadHit):
        await procedure(tmp_path, spool).forget({"vid": 5})
    assert not (tmp_path / FILE).exists()
    spool.close()
