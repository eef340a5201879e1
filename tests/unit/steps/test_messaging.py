"""What an event carries of its thread or of a message, beside its own row."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.steps.build import PIPELINE, SID, VID, check, columns, documents, event, hit, make, tables
from tracker.errors import BadHit
from tracker.pipeline import Prepared
from tracker.steps.hashes import private_hash
from tracker.steps.ids import named
from tracker.steps.keys import PRIVATE
from tracker.tables import EVENTS, Kind
from tracker.tables.messages import MSTORE, MTRIAGE
from tracker.tables.threads import MTHREADS

TID = "22222222-3333-4444-8555-666666666666"
EID = "33333333-4444-4555-8666-777777777777"
OTHER = "44444444-5555-4666-8777-888888888888"
THREAD, MESSAGE = ["events", "mthreads"], ["events", "mstore", "mtriage"]
CALL = {"route": "str", "is_client": False, "user_agent": "", "language": ""}
TIME = "2026-11-18 11:06:40.250Z"


def told(sent: dict[str, Any], **around: Any) -> Prepared:
    """A server's event of a thread, prepared and checked."""
    prepared = PIPELINE.prepare(hit({"tid": TID, "eid": EID, **sent}, **(around or CALL)))
    for row in prepared.entry.rows:
        check(row)
    return prepared


def carried(sent: dict[str, Any], table: str) -> dict[str, Any]:
    return columns(told(sent).entry, table)


def of(sent: dict[str, Any]) -> list[str]:
    """The tables of an event's rows."""
    return tables(told(sent).entry)


def test_a_campaign_s_state_is_a_row_of_mthreads() -> None:
    sent = {
        "vid": VID,
        "oid": OTHER,
        "org": "Acme",
        "ename": "Campaign_Start",
        "campaign": "Autumn",
        "medium": "Email",
        "ver": 3,
        "provider": "Mailer",
        "campaign_status": "ACTIVE",
        "provider_campaign_id": "aB-7",
        "abz_enabled": True,
        "abz_exploration_rate": 0.1,
        "campaign_priority": "5",
        "cats": ["Shoes", "Hats"],
        "vid_targets": [VID.upper()],
        "audience_params": {"Age": [20, 30]},
        "abz_start_time": "2026-11-22T04:00:00.123+01:00",
    }
    assert of(sent) == THREAD
    assert carried(sent, "mthreads") == {
        "eid": EID,
        "tid": TID,
        "vid": VID,
        "oid": OTHER,
        "org": "acme",
        "ename": "campaign_start",
        "campaign": "autumn",
        "medium": "email",
        "ver": 3,
        "provider": "mailer",
        "campaign_status": "active",
        "provider_campaign_id": "aB-7",
        "abz_enabled": True,
        "abz_exploration_rate": 0.1,
        "campaign_priority": 5,
        "cats": ["Shoes", "Hats"],
        "vid_targets": [VID],
        "audience_params": {"Age": [20, 30]},
        "abz_start_time": "2026-11-22 03:00:00.123Z",
        "created_at": TIME,
        "updated_at": TIME,
    }


def test_a_message_is_a_row_of_mstore_and_one_of_mtriage() -> None:
    sent = {
        "vid": VID,
        "subject": "Hello You",
        "msg": "  Read This ",
        "data": {"Price": 1.5},
        "scheduled": 1795316400.123,
        "recipient_timezone": "Europe/Berlin",
        "users": [VID, OTHER],
        "scheduled_local_hour": 0,
        "planned": "2026-11-22 03:00:00",
        "hidden": True,
        "interest": {"a": 1},
    }
    assert of(sent) == MESSAGE
    both = {
        "eid": EID,
        "mid": EID,
        "tid": TID,
        "vid": VID,
        "subject": "Hello You",
        "msg": "  Read This ",
        "data": '{"Price":1.5}',
        "scheduled": "2026-11-22 03:00:00.123Z",
        "recipient_timezone": "europe/berlin",
        "users": [VID, OTHER],
        "scheduled_local_hour": 0,
        "created_at": TIME,
        "updated_at": TIME,
    }
    only = {"planned": "2026-11-22 03:00:00.000Z", "hidden": True, "interest": {"a": 1}}
    assert carried(sent, "mstore") == both | only
    assert carried(sent, "mtriage") == both | {"urgency": 8, "keep": True}


@pytest.mark.parametrize(
    "sent",
    [
        {"ename": "page_view", "campaign": "c", "source": "s", "xid": "x", "score": 5, "extra": "e"},
        {
            "subject": "",
            "provider": " ",
            "msg": None,
            "data": {},
            "cats": [],
            "users": "",
            "abz_enabled": False,
        },
        {"urgency": 0, "keep": False, "campaign_priority": 0, "scheduled": 0, "scheduled_local_hour": -1},
        {"mid": OTHER},
        {"mid": OTHER, "msg": "\x00 "},
        {"eid": OTHER, "created_at": TIME, "updated_at": TIME},
        {"params": {"subject": "x", "provider": "y"}},
    ],
    ids=["traffic", "empty", "defaults", "mid", "blank", "ours", "params"],
)
def test_what_says_nothing_of_a_thread_makes_no_row(sent: dict[str, Any]) -> None:
    assert of(sent) == ["events"]


@pytest.mark.parametrize("tid", ["campaign-7", 7, "", None, "00000000-0000-0000-0000-000000000000"])
def test_only_an_event_whose_thread_is_a_uuid_carries_anything(tid: Any) -> None:
    assert of({"tid": tid, "subject": "x", "provider": "y"}) == ["events"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"planned": 1795316400}, ["events", "mstore"]),
        ({"hidden": True, "urgency": 3}, ["events", "mstore"]),
        ({"planned": 1795316400, "msg": "x"}, MESSAGE),
        ({"urgency": 3}, THREAD),
        ({"deleted": "2026-11-22T03:00:00Z"}, THREAD),
        ({"mtempl": "welcome"}, MESSAGE),
        ({"mtempl": {"a": 1}}, MESSAGE),
        ({"mtempl": {"a": 1}, "provider": "y"}, THREAD),
        ({"urgency": 3, "svc": "mail", "subject": "x"}, MESSAGE),
        ({"subject": "x", "provider": "y"}, ["events", "mthreads", "mstore", "mtriage"]),
    ],
    ids=lambda value: "-".join(value),
)
def test_the_keys_decide_the_tables(sent: dict[str, Any], expected: list[str]) -> None:
    assert of(sent) == expected


def test_keys_that_thread_and_message_share_go_into_both() -> None:
    sent = {"subject": "x", "provider": "y", "urgency": 3, "mtempl": {"A": 1}, "perms_ids": [OTHER]}
    state, message, triage = (carried(sent, table) for table in ("mthreads", "mstore", "mtriage"))
    assert [row["urgency"] for row in (state, message, triage)] == [3, 3, 3]
    assert [row["perms_ids"] for row in (state, message, triage)] == [[OTHER]] * 3
    assert (state["mtempl"], message["mtempl"], triage["mtempl"]) == ({"A": 1}, '{"A":1}', '{"A":1}')


@pytest.mark.parametrize("mid", [OTHER, OTHER.upper(), OTHER.replace("-", "")])
def test_a_message_has_the_client_s_id_if_that_is_a_uuid(mid: str) -> None:
    sent = {"mid": mid, "msg": "x"}
    assert carried(sent, "mstore")["mid"] == carried(sent, "mtriage")["mid"] == OTHER


def test_a_message_whose_id_is_none_has_the_event_s() -> None:
    prepared = told({"mid": "first", "msg": "x"})
    assert columns(prepared.entry, "mstore")["mid"] == EID
    assert prepared.faults == ("column_type:mid",)


def test_triage_is_not_urgent_and_keeps_unless_the_sender_says_otherwise() -> None:
    triage = carried({"msg": "x", "urgency": 0, "keep": False}, "mtriage")
    assert not {"urgency", "keep"} & triage.keys()
    triage = carried({"msg": "x", "urgency": "2", "keep": "1"}, "mtriage")
    assert (triage["urgency"], triage["keep"]) == (2, True)
    assert not {"urgency", "keep"} & carried({"msg": "x"}, "mstore").keys()


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("2026-11-22T03:00:00Z", "2026-11-22 03:00:00.000Z"),
        ("2026-11-22T03:00:00.123456789+05:30", "2026-11-21 21:30:00.123Z"),
        (" 2026-11-22 03:00:00 ", "2026-11-22 03:00:00.000Z"),
        ("2026-11-22t03:00:00z", "2026-11-22 03:00:00.000Z"),
        (1795316400, "2026-11-22 03:00:00.000Z"),
        (1795316400.123, "2026-11-22 03:00:00.123Z"),
        ("1795316400", "2026-11-22 03:00:00.000Z"),
    ],
)
def test_a_time_is_utc_whatever_form_it_was_sent_in(sent: Any, expected: str) -> None:
    assert carried({"scheduled": sent}, "mstore")["scheduled"] == expected


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("deleted", "tomorrow"),
        ("deleted", "0001-01-01T00:00:00Z"),
        ("deleted", "2026-02-30T00:00:00Z"),
        ("deleted", "9999-12-31T23:59:59-01:00"),
        ("deleted", 1e300),
        ("deleted", True),
        ("urgency", 2**31),
        ("scheduled_local_hour", 128),
        ("utc_offset_minutes", "far"),
        ("hidden", "maybe"),
        ("hidden", 2),
        ("owner", "somebody"),
        ("owner", 5),
        ("subject", {"a": 1}),
        ("repl", [1]),
        ("repl", "{"),
        ("mtypes", {"a": 1}),
        ("mtypes", "[1"),
        ("conversion_event_count", 2**63),
    ],
    ids=lambda value: str(value)[:12],
)
def test_what_does_not_fit_is_left_out_counted_and_still_in_the_event(column: str, value: Any) -> None:
    prepared = told({"msg": "x", column: value})
    assert column not in columns(prepared.entry, "mstore")
    assert prepared.faults == (f"column_type:{column}",)
    assert columns(prepared.entry)["params"] == {"msg": "x", "tid": TID, column: value}


def test_a_misfit_is_counted_also_when_no_row_comes_of_it_and_only_once() -> None:
    assert told({"subject": {"a": 1}, "urgency": "x"}).faults == (
        "column_type:urgency",
        "column_type:subject",
    )
    assert told({"mtempl": "no document", "msg": "x"}).faults == ()


def test_of_an_array_what_fits_is_kept() -> None:
    prepared = told({"msg": "x", "users": [OTHER, "somebody", 5], "mtypes": ["a", 1, " b "]})
    row = columns(prepared.entry, "mstore")
    assert (row["users"], row["mtypes"]) == ([OTHER], ["a", "b"])
    assert prepared.faults == ("column_type:users", "column_type:mtypes")


def test_blank_items_of_an_array_say_nothing_and_its_texts_have_no_nul() -> None:
    prepared = told({"msg": "x", "users": f"{OTHER},, {VID},", "mtypes": ["a\x00b", "", " ", "\x00"]})
    row = columns(prepared.entry, "mstore")
    assert (row["users"], row["mtypes"]) == ([OTHER, VID], ["ab"])
    assert prepared.faults == ()


def test_arrays_documents_and_flags_may_be_text_as_in_a_url() -> None:
    sent = {"msg": "x", "users": f"{OTHER}, {VID}", "mtypes": '["a", "b"]', "meta": '{"K": 1}', "sys": "TRUE"}
    row = carried(sent, "mstore")
    kept = (row["users"], row["mtypes"], row["meta"], row["sys"])
    assert kept == ([OTHER, VID], ["a", "b"], {"K": 1}, True)


def test_the_event_s_own_row_is_the_same_with_and_without_what_it_carries() -> None:
    sent = {"data": '{"A": 1}', "audience_params": '{"B": 2}', "keep": True}
    row = columns(told(sent).entry)
    assert row["params"] == {"tid": TID, **sent}
    assert "mthreads" in of(sent)


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("key", ["data", "mtempl", "meta", "audience_params", "interest"])
def test_no_document_brings_in_who_a_person_is(key: str, as_text: bool) -> None:
    person = {
        "deep": [{"Email": "a@example.org", "CELL": "5551", "uname": "bob", "jwt": "secret", "kept": 1}]
    }
    prepared = told({"msg": "x", "provider": "y", key: json.dumps(person) if as_text else person})
    lines = b"".join(row.line for row in prepared.entry.rows)
    assert len(prepared.entry.rows) == 4
    assert not [word for word in (b"example.org", b"5551", b"bob", b"secret") if word in lines]
    assert b"kept" in lines


def test_an_address_in_a_document_of_a_browser_s_event_is_known_by_its_hash() -> None:
    prepared = told({"meta": '{"email": "A@example.org"}'}, is_client=True)
    assert columns(prepared.entry, "emails")["ehash"] == private_hash("", "a@example.org")


def test_a_document_that_is_too_deep_is_refused_as_text_too() -> None:
    with pytest.raises(BadHit, match="too deep"):
        told({"meta": '{"a":' * 65 + "1" + "}" * 65})


def test_the_columns_come_also_from_the_event_s_ids_in_any_form() -> None:
    row = columns(told({"tid": TID.upper(), "uid": "user-1", "sid": SID, "provider": "y"}).entry, "mthreads")
    assert (row["tid"], row["uid"]) == (TID, named("user-1"))
    assert "sid" not in row


def test_the_same_event_again_is_the_same_rows() -> None:
    sent = {"vid": VID, "sid": SID, "subject": "x", "provider": "y"}
    assert told(sent).entry == told(sent).entry


def test_a_browser_s_event_carries_the_same_as_a_server_s() -> None:
    sent = {"vid": VID, "subject": "x", "provider": "y"}
    browser = told(sent, is_client=True).entry
    for table in ("mthreads", "mstore", "mtriage"):
        assert columns(browser, table) == columns(told(sent).entry, table)


def test_an_address_is_in_no_row_also_where_it_may_be_kept_in_the_event() -> None:
    sent = {"tid": TID, "subject": "x", "provider": "y"}
    rows = make(use_remove_ip=False).prepare(hit(sent)).entry.rows
    assert [row.table for row in rows if b"8.8.8.8" in row.line] == ["events"]


def test_columns_that_are_copied_are_of_one_kind() -> None:
    kinds = EVENTS.kinds()
    for table in (MTHREADS, MSTORE, MTRIAGE):
        assert [name for name, kind in table.kinds().items() if kinds.get(name, kind) is not kind] == []


own = sorted({*MTHREADS.kinds(), *MSTORE.kinds()})
values = documents | st.sampled_from(
    (
        VID,
        [VID],
        ["a", VID, 1, None, ["\x00"]],
        "a,b,\x00",
        "[1,",
        "2026-11-22T03:00:00Z",
        1e17,
        -1,
        128,
        True,
    )
)


@given(st.dictionaries(st.sampled_from(own), values, max_size=12), st.booleans())
def test_whatever_is_carried_every_row_fits_the_catalogue_and_none_is_blank(
    sent: dict[str, Any], is_client: bool
) -> None:
    prepared = PIPELINE.prepare(hit({**sent, "tid": TID}, is_client=is_client))
    found = tables(prepared.entry)
    assert len(found) == len(set(found))
    sent_keys = sent.keys() - {"eid", "mid", "created_at", "updated_at"}
    for row in prepared.entry.rows:
        check(row)
        if row.table in ("mthreads", "mstore", "mtriage"):
            own_columns = json.loads(row.line).keys() - EVENTS.kinds().keys()
            assert own_columns & sent_keys
            assert ("mid" in own_columns) is (row.table != "mthreads")


@given(st.sampled_from([*MTHREADS.columns, *MSTORE.columns]), values)
def test_a_column_holds_what_was_sent_or_says_that_it_does_not(column: Any, value: Any) -> None:
    if isinstance(value, dict):  # what names a person is taken out, and may leave nothing
        value = {key: part for key, part in value.items() if key not in PRIVATE}
    prepared = PIPELINE.prepare(hit({"tid": TID, "provider": "y", "planned": 1, column.name: value}))
    is_read = column.name not in EVENTS.kinds() and column.name not in ("updated_at", "provider", "planned")
    is_given = value not in (None, "", {}, [], 0, column.default) and str(value).replace("\x00", "").strip()
    if not is_read or not is_given or (column.kind is Kind.BOOL and str(value).lower() in ("0", "false")):
        return
    lines = [json.loads(row.line) for row in prepared.entry.rows if row.table in ("mthreads", "mstore")]
    assert any(column.name in line for line in lines) or prepared.faults


def test_the_event_is_kept_with_its_values() -> None:
    assert event({"tid": TID, "subject": "x"})["params"] == {"tid": TID, "subject": "x"}
