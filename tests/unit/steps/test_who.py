"""Whose event it is, what is not kept of that, and in which tables it is said."""

import uuid

import pytest

from tests.unit.steps.build import PIPELINE, VID, columns, event, hit, make, tables
from tracker.steps.hashes import sha
from tracker.steps.ids import NAMESPACE, named
from tracker.tables import ZERO_UUID


def test_a_visitor_without_an_id_is_new_and_its_session_has_the_same_id() -> None:
    prepared = PIPELINE.prepare(hit({}))
    row = columns(prepared.entry)
    assert row["vid"] == row["sid"] == prepared.identity.vid == prepared.identity.sid
    assert row["is_new"] is True
    assert prepared.identity.is_new
    assert uuid.UUID(row["eid"]).version == 7
    assert prepared.entry.client_id is None


@pytest.mark.parametrize("nothing", ["", "  ", None, ZERO_UUID])
def test_an_empty_or_zero_id_is_no_id(nothing: str | None) -> None:
    assert event({"vid": nothing})["is_new"] is True
    assert "uid" not in event({"uid": nothing})


def test_a_known_visitor_without_a_session_gets_one() -> None:
    row = event({"vid": VID})
    assert row["sid"] != VID
    assert uuid.UUID(row["sid"]).version == 7


def test_an_id_that_is_text_names_the_same_visitor_every_time() -> None:
    first, again = event({"vid": " User-123 "}), event({"vid": "User-123"})
    assert first["vid"] == again["vid"] == str(uuid.uuid5(uuid.UUID(NAMESPACE), "User-123"))
    assert first["params"] == {"vid": " User-123 "}
    assert event({"uid": 5})["uid"] == named("5")


def test_an_event_id_of_the_client_makes_its_retry_known() -> None:
    prepared = PIPELINE.prepare(hit({"eid": VID.upper()}))
    assert prepared.identity.eid == VID
    assert prepared.entry.client_id == uuid.UUID(VID).bytes
    assert PIPELINE.prepare(hit({"eid": "order 5"})).entry.client_id == uuid.UUID(named("order 5")).bytes


def test_a_visitor_id_made_at_the_upgrade_counts_as_new() -> None:
    prepared = PIPELINE.prepare(hit({}, route="ws", base={"vid": VID}), is_new=True)
    assert columns(prepared.entry, "counters")["id"] == "vids_created"
    assert prepared.identity == prepared.identity._replace(vid=VID, sid=VID, is_new=True)


def test_the_device_s_id_is_a_column() -> None:
    assert event({"did": VID})["device_id"] == VID


def test_an_address_is_only_stored_when_that_is_wanted() -> None:
    assert "ip" not in event({"ip": "9.9.9.9"})
    row = columns(make(use_remove_ip=False).prepare(hit({"ip": "9.9.9.9"})).entry)
    assert row["ip"] == "8.8.8.8"
    assert "params" not in row
    assert "iphash" not in event({}, ip="")


def test_tokens_are_never_stored() -> None:
    line = (
        PIPELINE.prepare(hit({"auth": "ey.tok", "x": {"JWT": "ey.tok"}, "params": {"Auth": "ey.tok"}}))
        .entry.rows[0]
        .line
    )
    assert b"ey.tok" not in line


def test_an_e_mail_address_found_first_is_the_one_that_is_hashed() -> None:
    sent = {"params": {"email": "b@x"}, "EMAIL": " A@x "}
    prepared = make(prefix_private_hash="salt").prepare(hit(sent))
    assert columns(prepared.entry, "emails")["ehash"] == sha("salta@x")


def test_a_hash_the_client_made_goes_before_ours() -> None:
    prepared = PIPELINE.prepare(hit({"ehash": "AbC=", "email": "a@x", "uhash": "U", "cell": 41_790_000_000}))
    assert columns(prepared.entry, "emails")["ehash"] == "AbC="
    assert columns(prepared.entry, "usernames")["uhash"] == "U"
    assert columns(prepared.entry, "cells")["chash"] == sha("41790000000")


def test_a_sent_object_is_not_changed_when_something_is_removed_from_it() -> None:
    base = {"deep": {"email": "a@x", "keep": 1}}
    PIPELINE.prepare(hit({}, base=base))
    assert base == {"deep": {"email": "a@x", "keep": 1}}


def test_a_client_event_says_everything_that_cannot_be_derived() -> None:
    sent = {"uid": VID, "email": "a@x", "cell": "1", "uname": "b"}
    prepared = PIPELINE.prepare(hit(sent))
    assert tables(prepared.entry) == [
        "events",
        "hosts",
        "userhosts",
        "usernames",
        "emails",
        "cells",
        "counters",
    ]
    seen = {"hhash": "imdezq", "vid": prepared.identity.vid, "sid": prepared.identity.sid}
    seen["created_at"] = "2026-11-18 11:06:40.250Z"
    assert columns(prepared.entry, "userhosts") == {**seen, "uid": VID}
    assert columns(prepared.entry, "emails") == {**seen, "ehash": sha("a@x")}
    assert columns(prepared.entry, "hosts") == {
        "hhash": "imdezq",
        "hostname": "example.com",
        "created_at": seen["created_at"],
    }
    counter = columns(prepared.entry, "counters")
    assert counter == {"id": "vids_created", "total": 1, "date": "2026-11-18", "cid": counter["cid"]}


def test_a_server_event_is_one_row_whatever_it_says() -> None:
    sent = {"uid": VID, "email": "a@x", "cell": "1", "uname": "b"}
    assert tables(PIPELINE.prepare(hit(sent, is_client=False)).entry) == ["events"]


def test_without_a_host_there_is_no_hash_of_it() -> None:
    prepared = PIPELINE.prepare(hit({"uid": VID, "vid": VID}, host=""))
    assert tables(prepared.entry) == ["events", "userhosts"]
    assert "hhash" not in columns(prepared.entry, "userhosts")
