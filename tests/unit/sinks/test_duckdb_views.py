"""The views over events, on a few events made by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest

from tests.support.batches import batch, event
from tests.support.rows import SHIPPED
from tests.unit.sinks.places import ask, count
from tracker.sinks.duckdb import DuckDbSettings, DuckDbSink
from tracker.tables import CATALOGUE, EVENTS

DAY = "2026-11-22"
NIGHT = f"{DAY} 23:59:59.999Z"
NEXT = "2026-11-23 00:00:00.000Z"
VISITOR, OTHER = "0190163d-8694-739b-aea5-966c26f8ad91", "0190163d-8694-739b-aea5-966c26f8ad92"
FIRST, SECOND = "00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"
COUNTERS = {
    "hits": ["hhash", "url", "total", "date"],
    "ips": ["hhash", "ip", "total", "date"],
    "reqs": ["hhash", "vid", "total", "date"],
    "browsers": ["hhash", "bhash", "browser", "total", "date"],
    "referrers": ["hhash", "url", "total", "date"],
    "outcomes": ["hhash", "outcome", "sink", "created", "url", "total"],
    "dailies": ["ip", "day", "total"],
}
PEOPLE = [
    "oid",
    "org",
    "vid",
    "created_at",
    "device_id",
    "sid",
    "hhash",
    "app",
    "rel",
    "cflags",
    "uid",
    "tid",
    "last",
    "url",
    "ip",
    "iphash",
    "lat",
    "lon",
    "ptyp",
    "bhash",
    "auth_id",
    "xid",
    "split",
    "ename",
    "etyp",
    "ver",
    "sink",
    "score",
    "params",
    "source",
    "medium",
    "campaign",
    "country",
    "region",
    "city",
    "zip",
    "term",
    "gaid",
    "idfa",
    "msid",
    "fbid",
    "culture",
    "ref",
    "rcode",
    "aff",
    "browser",
    "device",
    "os",
    "tz",
    "vp_w",
    "vp_h",
    "ja4h",
]
SEEN = {
    "nodes": ["hhash", "vid", "iphash", "uid", "ip", "sid", "created_at"],
    "locations": ["hhash", "vid", "lat", "lon", "uid", "sid", "created_at"],
    "aliases": ["hhash", "vid", "uid", "sid", "created_at"],
    "routed": ["hhash", "ip", "url", "created_at"],
    "referrals": ["hhash", "vid", "ref", "gen", "version_ts", "created_at"],
    "referred": ["hhash", "vid", "rcode", "gen", "version_ts", "created_at"],
}


def client(**columns: Any) -> dict[str, Any]:
    return event(**{"is_client": True, "hhash": "h", "vid": VISITOR, "created_at": NIGHT, **columns})


async def columns_of(sink: DuckDbSink, name: str) -> list[str]:
    answer = await sink.query(f"SELECT * FROM {name}", max_rows=1, timeout_seconds=5)  # noqa: S608 (constants)
    return list(answer.columns)


async def test_views_have_the_originals_names_and_columns(sink: DuckDbSink) -> None:
    for name, columns in {**COUNTERS, **SEEN, "visitors": PEOPLE, "visitors_latest": PEOPLE}.items():
        assert await columns_of(sink, name) == columns, name
    assert await columns_of(sink, "sessions") == [*PEOPLE[:21], "duration", *PEOPLE[21:]]
    assert await columns_of(sink, "events_recent") == list(EVENTS.kinds())


async def test_every_table_and_view_can_be_asked_under_the_originals_name(sink: DuckDbSink) -> None:
    people = ("visitors", "visitors_latest", "sessions", "events_recent")
    for name in (*CATALOGUE, *COUNTERS, *SEEN, *people):
        assert await count(sink, f"sfpla.{name}") == SHIPPED.get(name, 0)


@pytest.mark.parametrize(("view", "wanted"), [("visitors", "first"), ("visitors_latest", "last")])
async def test_a_visitor_of_an_organisation_is_its_first_or_latest_event(
    sink: DuckDbSink, view: str, wanted: str
) -> None:
    middle = client(ename="middle", created_at=f"{DAY} 12:00:00.000Z")
    await sink.write(batch([middle, client(ename="last", created_at=NEXT)]))
    await sink.write(batch([client(ename="first", created_at=f"{DAY} 11:00:00.000Z")]))
    await sink.write(batch([client(ename="elsewhere", oid=OTHER)]))
    rows = await ask(sink, f"SELECT oid, vid, ename FROM {view} ORDER BY oid")  # noqa: S608 (constants)
    assert rows == [["00000000-0000-0000-0000-000000000000", VISITOR, wanted], [OTHER, VISITOR, "elsewhere"]]
    one = await ask(sink, f"SELECT ename FROM {view} WHERE vid = '{VISITOR}' AND oid <> '{OTHER}'")  # noqa: S608 (constants)
    assert one == [[wanted]]


async def test_of_the_same_millisecond_the_event_id_decides(sink: DuckDbSink) -> None:
    for order in ((FIRST, SECOND), (SECOND, FIRST)):
        vid = event()["eid"]
        await sink.write(batch([client(eid=eid, vid=vid, ename=eid) for eid in order]))
    assert await ask(sink, "SELECT DISTINCT ename FROM visitors") == [[FIRST]]
    assert await ask(sink, "SELECT DISTINCT ename FROM visitors_latest") == [[SECOND]]


async def test_an_event_id_given_twice_does_not_double_a_visitor(sink: DuckDbSink) -> None:
    await sink.write(batch([client(eid=FIRST), client(eid=FIRST)]))
    for view in ("visitors", "visitors_latest", "sessions"):
        assert await count(sink, view) == 1


async def test_a_session_is_its_first_event_with_that_events_duration(sink: DuckDbSink) -> None:
    await sink.write(batch([client(sid=OTHER, duration=7), client(sid=OTHER, duration=9, created_at=NEXT)]))
    assert await ask(sink, "SELECT sid, duration FROM sessions") == [[OTHER, 7]]


async def test_recent_events_are_those_of_seven_days(sink: DuckDbSink) -> None:
    now = datetime.now(UTC)
    ages = {"young": timedelta(days=6, hours=23), "old": timedelta(days=7, minutes=1)}
    rows = [
        client(ename=name, created_at=f"{now - age:%Y-%m-%d %H:%M:%S}.000Z") for name, age in ages.items()
    ]
    await sink.write(batch(rows))
    assert await ask(sink, "SELECT ename FROM events_recent") == [["young"]]


async def test_counters_count_client_events_by_day_and_key_once(sink: DuckDbSink) -> None:
    seen = {
        "url": "//a/b",
        "last": "//c/d",
        "bhash": "x",
        "browser": "ie",
        "outcome": "buy",
        "sink": "s",
        "ip": "::1",
    }
    await sink.write(batch([client(**seen), client(**seen), client(**seen, created_at=NEXT)]))
    await sink.write(batch([event(**seen, hhash="h", vid=VISITOR, created_at=NIGHT), client()]))
    for view, key in {
        "hits": "url = '//a/b'",
        "reqs": f"vid = '{VISITOR}'",
        "browsers": "(bhash, browser) = ('x', 'ie')",
        "referrers": "url = '//c/d'",
    }.items():
        found = await ask(sink, f"SELECT date, total FROM {view} WHERE hhash = 'h' AND {key} ORDER BY 1")  # noqa: S608 (constants)
        with_the_bare_event = 3 if view == "reqs" else 2
        assert found == [[DAY, with_the_bare_event], ["2026-11-23", 1]], view
    assert await ask(sink, "SELECT * FROM outcomes WHERE created = DATE '2026-11-22'") == [
        ["h", "buy", "s", DAY, "//a/b", 2]
    ]
    assert await ask(sink, "SELECT ip, total FROM dailies WHERE day = DATE '2026-11-22'") == [["::1", 2]]


async def test_addresses_are_counted_for_every_event_that_has_one(sink: DuckDbSink) -> None:
    await sink.write(batch([client(ip="::1"), event(ip="::1", hhash="h", created_at=NIGHT), client()]))
    assert await ask(sink, "SELECT * FROM ips") == [["h", "::1", 2, DAY]]


async def test_counters_leave_out_events_that_lack_what_they_count(sink: DuckDbSink) -> None:
    await sink.write(batch([client()]))
    counts = {view: await count(sink, view) for view in COUNTERS}
    assert counts == {**dict.fromkeys(COUNTERS, 0), "reqs": 1, "browsers": 1}


async def test_first_and_latest_seen_views_have_one_row_per_key(sink: DuckDbSink) -> None:
    early: dict[str, Any] = {"ip": "::1", "iphash": "i", "url": "//a", "lat": 1.5, "lon": 2.5, "uid": OTHER}
    early |= {"ref": OTHER, "rcode": "r1", "sid": FIRST}
    late = {**early, "url": "//b", "ref": VISITOR, "rcode": "r2", "sid": SECOND, "created_at": NEXT}
    await sink.write(batch([client(**late), client(**early), client()]))
    night, moment = f"{DAY} 23:59:59.999", -1795391999999
    assert {view: await ask(sink, f"SELECT * FROM {view}") for view in SEEN} == {  # noqa: S608 (constants)
        "nodes": [["h", VISITOR, "i", OTHER, "::1", FIRST, night]],
        "locations": [["h", VISITOR, 1.5, 2.5, OTHER, FIRST, night]],
        "aliases": [["h", VISITOR, OTHER, FIRST, night]],
        "routed": [["h", "::1", "//b", "2026-11-23 00:00:00.000"]],
        "referrals": [["h", VISITOR, OTHER, 0, moment, night]],
        "referred": [["h", VISITOR, "r1", 0, moment, night]],
    }


async def test_the_file_can_be_used_by_duckdb_itself_under_any_name(
    sink: DuckDbSink, settings: DuckDbSettings
) -> None:
    await sink.write(batch([client(url="//a")]))
    await sink.close()
    with duckdb.connect(str(settings.database), read_only=True) as file:
        assert file.execute("SELECT count(*) FROM visitors").fetchone() == (1,)
        assert file.execute("SELECT total FROM hits").fetchone() == (1,)
