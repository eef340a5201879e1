"""Log lines, updates, counts and events of trusted callers."""

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.steps.build import NOW, PIPELINE, SID, VID, check, columns, envelope, hit, make, objects
from tracker.config.notyet import NOT_WRITTEN_YET
from tracker.errors import BadHit
from tracker.events import Entry, Hit, Row
from tracker.pipeline import Pipeline, Prepared
from tracker.steps.ids import named
from tracker.steps.links import LinkRules, history_row, link_row, rows_of
from tracker.tables import CATALOGUE


def record(kind: str, values: dict[str, Any], pipeline: Pipeline = PIPELINE) -> Prepared:
    prepared = pipeline.prepare_record(kind, values, NOW)
    for row in prepared.entry.rows:
        check(row)
    return prepared


def test_a_log_line_becomes_a_row() -> None:
    sent = {
        "id": "Subject",
        "name": "Logger",
        "host": "H1",
        "level": "3",
        "msg": "It Works",
        "ip": "8.8.8.8",
        "ltimenss": "1700000000123456789",
        "oid": VID,
        "owner": "bob",
        "params": '{"A": 1, "ip": "8.8.8.8"}',
        "More": True,
        "email": "a@x",
    }
    prepared = record("log", sent)
    row = columns(prepared.entry, "logs")
    assert row == {
        "id": prepared.identity.eid,
        "ldate": "2023-11-14",
        "created_at": "2026-11-18 11:06:40.250Z",
        "ltime": "2023-11-14 22:13:20.123456789Z",
        "topic": "Subject",
        "name": "Logger",
        "host": "H1",
        "iphash": "b4c84prdbt401t5oxss1cy8xcx",
        "level": 3,
        "msg": "It Works",
        "oid": VID,
        "owner": named("bob"),
        "params": {"A": 1, "More": True, "owner": "bob"},
    }


def test_a_log_line_keeps_its_address_only_when_that_is_wanted() -> None:
    row = columns(record("log", {"ip": "8.8.8.8"}, make(use_remove_ip=False)).entry, "logs")
    assert row["ip"] == "8.8.8.8"


def test_a_bad_day_or_time_of_a_log_line_is_kept_in_its_params() -> None:
    prepared = record("log", {"ldate": "someday", "ltimenss": "-5", "topic": "t"})
    row = columns(prepared.entry, "logs")
    assert (row["ldate"], row["params"]) == ("2026-11-18", {"ldate": "someday", "ltimenss": "-5"})
    assert prepared.faults == ("column_type:ldate", "column_type:ltime")


def test_a_time_beyond_the_days_that_every_store_has_is_of_the_last_of_them() -> None:
    row = columns(record("log", {"ltimenss": str(2**63 - 1)}).entry, "logs")
    assert (row["ldate"], row["ltime"]) == ("2148-12-31", "2262-04-11 23:47:16.854775807Z")


def test_a_topic_goes_before_an_id_in_any_order() -> None:
    assert columns(record("log", {"id": "i", "topic": "t"}).entry, "logs")["topic"] == "t"
    assert columns(record("log", {"topic": "t", "id": "i"}).entry, "logs")["topic"] == "t"


def test_an_update_has_its_own_time_or_now() -> None:
    row = columns(record("update", {"id": "U", "msg": "M", "updated": "1700000000001"}).entry, "updates")
    assert row == {"id": "U", "updated_at": "2023-11-14 22:13:20.001Z", "msg": "M"}
    row = columns(record("update", {"id": 7, "msg": {"a": 1}}).entry, "updates")
    assert row == {"id": "7", "updated_at": "2026-11-18 11:06:40.250Z", "msg": '{"a":1}'}
    assert record("update", {"id": "U", "updated": "x"}).faults == ("column_type:updated_at",)


@given(st.integers(0, 9_000_000_000_000))
def test_an_update_s_time_is_exact_to_the_millisecond(milliseconds: int) -> None:
    row = columns(record("update", {"id": "U", "updated": milliseconds}).entry, "updates")
    assert int(row["updated_at"][-4:-1]) == milliseconds % 1000


def test_a_count_is_one_more_today() -> None:
    row = columns(record("count", {"id": "signups", "eid": VID}).entry, "counters")
    assert row == {"id": "signups", "total": 1, "date": "2026-11-18", "cid": VID}
    assert record("count", {"id": "signups", "eid": VID}).entry.client_id == uuid.UUID(VID).bytes


@pytest.mark.parametrize("kind", ["update", "count"])
@pytest.mark.parametrize("name", [None, "", " ", {}, []])
def test_an_update_or_count_without_an_id_is_refused(kind: str, name: Any) -> None:
    with pytest.raises(BadHit, match="needs an id"):
        record(kind, {"id": name})


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(BadHit, match="unknown kind 'ltv'"):
        record("ltv", {})


def test_an_event_of_a_trusted_caller_is_a_server_event() -> None:
    row = columns(record("event", {"ename": "x", "vid": VID, "sid": SID}).entry)
    assert row == {
        "eid": row["eid"],
        "vid": VID,
        "sid": SID,
        "ename": "x",
        "created_at": "2026-11-18 11:06:40.250Z",
    }


@given(st.sampled_from(("event", "log", "update", "count")), objects)
def test_any_record_fits_the_catalogue_or_is_refused(kind: str, values: dict[str, Any]) -> None:
    try:
        record(kind, values)
    except BadHit as error:
        assert error.code in {"missing_id", "too_deep"}


def test_a_hit_says_nothing_but_what_was_sent() -> None:
    assert isinstance(PIPELINE.prepare(Hit(envelope(), {}, NOW)).entry, Entry)


def link_rows() -> tuple[Row, Row]:
    link = LinkRules("v1", (), ()).read({"urlfrom": "a.example/b", "urlto": "https://c.example/"})
    return rows_of(link_row(link, VID, "t", "t"), history_row(link, VID, "t"))


def test_an_organisation_is_what_it_was_last_said_to_be() -> None:
    sent = {
        "oid": VID.upper(),
        "org": " Acme ",
        "tracker_host": "TR.example",
        "default_destination_host": "http://shop.example:81/",
        "else": 1,
    }
    assert columns(record("org", sent).entry, "orgs") == {
        "oid": VID,
        "org": "Acme",
        "ddata": {"tracker_host": "https://TR.example", "default_destination_host": "http://shop.example:81"},
        "updated_at": "2026-11-18 11:06:40.250Z",
    }
    assert columns(record("org", {"oid": "acme", "tracker_host": ""}).entry, "orgs")["oid"] == named("acme")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({}, "missing_id"),
        ({"oid": {}}, "missing_id"),
        ({"oid": " "}, "missing_id"),
        ({"oid": VID, "default_destination_host": "javascript:alert(1)"}, "bad_host"),
        ({"oid": VID, "default_destination_host": "shop.example/path"}, "bad_host"),
        ({"oid": VID, "tracker_host": ["x"]}, "bad_host"),
    ],
    ids=str,
)
def test_an_organisation_needs_an_id_and_hosts_that_are_hosts(sent: dict[str, Any], code: str) -> None:
    with pytest.raises(BadHit) as caught:
        record("org", sent)
    assert caught.value.code == code


@given(st.dictionaries(st.sampled_from(("oid", "org", "tracker_host", "default_destination_host")), objects))
def test_any_organisation_is_a_row_or_refused(sent: dict[str, Any]) -> None:
    try:
        record("org", sent)
    except BadHit as error:
        assert error.code in ("missing_id", "bad_host")


def test_events_and_records_together_write_every_table_but_those_said_to_wait() -> None:
    everything = {"vid": VID, "uid": VID, "oid": VID, "tid": VID, "ehash": "e", "chash": "c", "uhash": "u"}
    everything |= {"provider": "p", "subject": "s", "tags": "t"}
    entries = [PIPELINE.prepare(hit(sent)).entry for sent in (everything, {})]
    entries += [record(kind, {"id": "x"}).entry for kind in ("log", "update", "count")]
    entries.append(record("org", {"oid": "x"}).entry)
    entries.append(Entry(link_rows()))
    entries.append(PIPELINE.prepare_agreement(hit({"vid": VID}), "")[0].entry)
    paid = PIPELINE.payments_in(envelope(), {"vid": VID, "amt": 1}, "")
    entries += [
        one.entry for one in PIPELINE.prepare_payments(envelope(), paid, {}, NOW) if isinstance(one, Prepared)
    ]
    written = {row.table for entry in entries for row in entry.rows} | {"accounts"}  # by their own command
    assert written == CATALOGUE.keys() - NOT_WRITTEN_YET
