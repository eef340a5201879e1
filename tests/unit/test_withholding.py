"""The pipeline with a guard: what becomes of events that must not be kept as they were sent."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from prometheus_client import CollectorRegistry

from tests.unit.steps.build import (
    NOW,
    SID,
    VID,
    Nowhere,
    check,
    columns,
    documents,
    hit,
    keys,
    objects,
    tables,
)
from tracker.agreed import Agreed
from tracker.errors import BadHit, RecordsUnavailable
from tracker.events import Entry
from tracker.metrics import Metrics
from tracker.pipeline import Pipeline, PipelineSettings, Prepared, Protection
from tracker.steps.protect import KEEP, Guard, Rule

UID = "99999999-8888-4777-8666-555555555555"
OID = "77777777-8888-4777-8666-555555555555"
TID = "66666666-8888-4777-8666-555555555555"
EVERYWHERE = Rule(("*",), "opt-in")
DROPPED = Rule(("*",), "opt-in", otherwise="drop")


def guarded(guard: Guard, agreed: Agreed | None = None, **settings: Any) -> Pipeline:
    metrics = Metrics(CollectorRegistry(), "test")
    protection = Protection(guard, lambda now: b"k" * 32, agreed)
    return Pipeline(Nowhere(), PipelineSettings(**settings), metrics, now=lambda: NOW, protection=protection)


STRICT = guarded(Guard("anonymise", "drop", (Rule(("DE",), "opt-in"), Rule(("FR",), "opt-in", 4096, "drop"))))
ANONYMISING = guarded(Guard(rules=(EVERYWHERE,)))
DROPPING = guarded(Guard(rules=(DROPPED,)))


def text_of(entry: Entry) -> str:
    return b"\n".join(row.line for row in entry.rows).decode()


def test_without_a_reason_an_event_is_kept_as_it_was_sent() -> None:
    body = {"vid": VID, "sid": SID, "eid": VID, "uid": UID, "email": "a@b.c", "tz": "Europe/Vienna"}
    unguarded = Pipeline(Nowhere(), PipelineSettings(), Metrics(CollectorRegistry(), "test"))
    kept = STRICT.prepare(hit(body))
    assert kept == unguarded.prepare(hit(body))
    assert kept.decision is KEEP
    assert kept.identity.is_lasting


def test_an_anonymised_event_names_nobody() -> None:
    body = {
        "vid": VID,
        "sid": SID,
        "uid": UID,
        "email": "a@b.c",
        "cell": "0151",
        "uname": "ann",
        "ref": VID,
        "lat": 48.1,
        "lon": 11.5,
        "city": "Munich",
        "zip": "80331",
        "tz": "Europe/Berlin",
        "gaid": "g-1",
        "ename": "view",
        "url": "https://a.org/users/123456?x=1",
        "params": {"user": "u-1", "plan": "pro"},
    }
    done = ANONYMISING.prepare(hit(body, base={"vid": VID}))
    row = columns(done.entry)
    assert tables(done.entry) == ["events", "hosts"]
    assert {name: row[name] for name in ("country", "ename", "url", "ground", "browser", "params")} == {
        "country": "DE",
        "ename": "view",
        "url": "//a.org/users/*",
        "ground": "no_consent",
        "browser": "other",
        "params": {"plan": "pro"},
    }
    found = text_of(done.entry).lower()
    for secret in (VID, SID, UID, "a@b.c", "0151", "ann", "48.1", "munich", "80331", "berlin", "g-1", "u-1"):
        assert secret not in found
    assert not {"iphash", "ip", "ja4h", "is_new", "lat", "zip"} & row.keys()


def test_nobody_is_told_an_id_that_lasts() -> None:
    anonymised = ANONYMISING.prepare(hit({}))
    dropped = DROPPING.prepare(hit({}))
    assert not anonymised.identity.is_lasting
    assert not dropped.identity.is_lasting
    assert not anonymised.identity.is_new
    assert anonymised.identity.vid == columns(anonymised.entry)["vid"]


def test_one_visitor_is_one_for_the_day_whatever_cookies_say() -> None:
    rows = [columns(ANONYMISING.prepare(hit({}, base={"vid": vid})).entry) for vid in (VID, UID)]
    rows.append(columns(ANONYMISING.prepare(hit({})).entry))
    assert len({row["vid"] for row in rows}) == len({row["sid"] for row in rows}) == 1
    assert columns(ANONYMISING.prepare(hit({}, ip="9.9.9.9")).entry)["vid"] != rows[0]["vid"]


def test_what_a_server_reports_of_nobody_is_someone_else_each_time() -> None:
    server = {"route": "str", "is_client": False, "user_agent": ""}
    rows = [columns(ANONYMISING.prepare(hit({"sid": SID}, **server)).entry) for _ in range(2)]
    assert rows[0]["vid"] != rows[1]["vid"]
    assert SID not in {row["sid"] for row in rows}
    assert not any("is_new" in row for row in rows)


def test_a_dropped_event_leaves_a_count_of_its_ground_and_nothing_else() -> None:
    done = DROPPING.prepare(hit({"vid": VID, "ename": "secret", "uid": UID}))
    (row,) = done.entry.rows
    assert row.table == "counters"
    read = json.loads(row.line)
    assert read == {"id": "dropped_no_consent", "total": 1, "date": "2026-11-18", "cid": read["cid"]}
    check(row)


@pytest.mark.parametrize("pipeline", [ANONYMISING, DROPPING], ids=["anonymised", "dropped"])
def test_a_client_s_event_id_stays_so_that_a_retry_is_known(pipeline: Pipeline) -> None:
    done = pipeline.prepare(hit({"eid": TID}))
    assert done.identity.eid == TID
    assert done.entry.client_id == bytes.fromhex(TID.replace("-", ""))
    assert pipeline.prepare(hit({})).entry.client_id is None


def test_signals_of_the_request_and_consent_of_the_body_decide_for_each_event() -> None:
    outcomes = [
        STRICT.prepare(hit(body, **around)).decision
        for body, around in (
            ({}, {"gpc": True}),
            ({}, {"dnt": True}),
            ({}, {"gpc": True, "dnt": True}),
            ({"tz": "Europe/Berlin"}, {}),
            ({"tz": "Europe/Berlin", "cflags": 1}, {}),
            ({"tz": "Europe/Berlin", "cflags": 0}, {"base": {"cflags": 1}}),
            ({"tz": "Europe/Berlin"}, {"base": {"cflags": 1}}),
            ({"country": "fr", "cflags": 1024}, {}),
            ({"country": "fr", "cflags": "4096"}, {}),
        )
    ]
    assert outcomes == [
        *(("anonymise", "gpc"), ("drop", "dnt"), ("drop", "dnt"), ("anonymise", "no_consent"), KEEP),
        *(("anonymise", "refused_consent"), KEEP, ("drop", "refused_consent"), KEEP),
    ]


def test_events_of_trusted_callers_are_judged_like_others() -> None:
    assert ANONYMISING.prepare_record("event", {"ename": "a"}, NOW).decision == ("anonymise", "no_consent")
    assert ANONYMISING.prepare_record("log", {"msg": "a"}, NOW).decision is KEEP


def test_of_what_an_event_carries_only_the_thread_s_state_stays_without_people() -> None:
    body = {
        "tid": TID,
        "oid": OID,
        "vid": VID,
        "uid": UID,
        "provider": "mail",
        "subject": "Dear Ann",
        "subs": [UID],
        "owner": UID,
        "ddata": {"email_of": "x", "budget": 7},
        "tags": "a,b",
        "prefs": '{"user": "ann"}',
        "planned": 1795316400,
    }
    kept = STRICT.prepare(hit(body)).entry
    assert {"mthreads", "mstore", "visitor_interests"} <= set(tables(kept))
    done = ANONYMISING.prepare(hit(body)).entry
    assert tables(done) == ["events", "hosts", "mthreads"]
    thread = columns(done, "mthreads")
    assert thread["provider"] == "mail"
    assert thread["ddata"] == {"budget": 7}
    assert not {"vid", "uid", "subs", "owner", "prefs"} & thread.keys()
    assert "ann" not in text_of(done).lower()


def test_stored_and_withheld_events_are_counted_once_they_are_durable() -> None:
    async def store() -> float:
        await STRICT.store([STRICT.prepare(hit({}, gpc=True)), STRICT.prepare(hit({}))], "tr")
        return (
            STRICT._metrics.registry.get_sample_value(
                "tracker_events_withheld_total", {"outcome": "anonymise", "ground": "gpc"}
            )
            or 0
        )

    assert asyncio.run(store()) == 1.0


def payment(pipeline: Pipeline, item: dict[str, Any], said: dict[str, Any], **around: Any) -> Prepared:
    envelope = hit({}, route="ltv", **around).envelope
    (made,) = pipeline.prepare_payments(envelope, pipeline.payments_in(envelope, item, ""), said, NOW)
    assert isinstance(made, Prepared)
    return made


PAID = {"orid": TID, "invid": OID, "revenue": Decimal("0.10"), "uid": UID, "plan": "pro", "email": "a@b.c"}


@pytest.mark.parametrize("pipeline", [ANONYMISING, DROPPING], ids=["anonymised", "dropped"])
def test_a_payment_is_never_dropped_but_says_no_more_who_paid(pipeline: Pipeline) -> None:
    done = payment(pipeline, {**PAID, "params": {"user": "ann"}}, {"vid": VID, "sid": SID})
    row = columns(done.entry, "payments")
    check(done.entry.rows[0])
    assert done.decision == ("anonymise", "no_consent")
    assert {name: row[name] for name in ("orid", "invid", "revenue", "ground")} == {
        "orid": TID,
        "invid": OID,
        "revenue": "0.1",
        "ground": "no_consent",
    }
    assert not {"uid", "vid", "sid"} & row.keys()
    assert (done.identity.vid, done.identity.sid) == ("", "")
    assert not any(secret in text_of(done.entry) for secret in (UID, VID, SID, "ann", "a@b.c"))


def test_a_payment_is_the_same_one_whether_its_payer_may_be_known_or_not() -> None:
    kept = payment(ANONYMISING, PAID, {"vid": VID, "cflags": 1})
    assert kept.decision is KEEP
    assert columns(kept.entry, "payments")["uid"] == UID
    assert kept.identity.eid == payment(ANONYMISING, PAID, {"vid": VID}).identity.eid


def test_a_payment_s_own_country_decides_and_the_signal_of_its_request() -> None:
    assert payment(STRICT, {**PAID, "country": "de"}, {}).decision == ("anonymise", "no_consent")
    assert payment(STRICT, {**PAID, "country": "fr"}, {}).decision == ("anonymise", "no_consent")
    assert payment(STRICT, {**PAID, "country": "ch"}, {}).decision is KEEP
    assert payment(STRICT, PAID, {}, gpc=True).decision == ("anonymise", "gpc")


class Known:
    """Agreements in memory, some of which must be waited for, or cannot be had."""

    def __init__(self, **rows: Any) -> None:
        self.rows = rows
        self.asked: list[str] = []
        self.is_away = False

    def peek(self, key: str) -> Any:
        return self.rows.get(key, "unknown")

    async def get(self, key: str) -> Any:
        self.asked.append(key)
        if self.is_away:
            raise RecordsUnavailable("away")
        self.rows[key] = {"vid": key, "cflags": 1} if key == VID else None
        return self.rows[key]


async def test_a_stored_agreement_speaks_for_an_event_that_says_nothing_itself() -> None:
    known = Known()
    pipeline = guarded(Guard(rules=(EVERYWHERE,)), Agreed(known))
    bodies: list[object] = [{"vid": VID}, {"vid": UID}, {"vid": TID, "cflags": 0}, {}, BadHit("x", "form")]
    around = hit({}, base={"vid": VID}).envelope
    assert pipeline.consults
    await pipeline.consult(around, bodies)
    assert sorted(known.asked) == sorted([VID, UID])
    decisions = [
        pipeline.prepare(hit(body, base={"vid": VID})).decision for body in bodies if isinstance(body, dict)
    ]
    assert decisions == [KEEP, ("anonymise", "no_consent"), ("anonymise", "refused_consent"), KEEP]
    known.asked.clear()
    await pipeline.consult(around, bodies)
    assert known.asked == []


async def test_what_cannot_be_known_of_an_agreement_counts_as_nothing_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = Known()
    known.is_away = True
    pipeline = guarded(Guard(rules=(EVERYWHERE,)), Agreed(known))
    await pipeline.consult(hit({}).envelope, [{"vid": VID}])
    assert pipeline.prepare(hit({"vid": VID})).decision == ("anonymise", "no_consent")

    async def never(key: str) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr("tracker.agreed.WAIT_SECONDS", 0.01)
    monkeypatch.setattr(known, "get", never)
    await pipeline.consult(hit({}).envelope, [{"vid": VID}])


async def test_nobody_is_asked_where_agreements_do_not_count() -> None:
    assert not ANONYMISING.consults
    await ANONYMISING.consult(hit({}).envelope, [{"vid": VID}])


def _secret_places(secret: str) -> dict[str, Any]:
    """A body that says the secret wherever something of a person may be said."""
    return {
        **dict.fromkeys(
            ("uid", "ref", "email", "cell", "uname", "gaid", "mcid", "rcode", "city", "zip"), secret
        ),
        "params": {"user_id": secret, "deep": [{"email": secret}]},
        "targets": {"phone": secret},
        "url": f"https://a.org/{secret}?q={secret}",
        "last": f"//b.org/x?u={secret}",
        "subject": secret,
        "did": secret,
        "auth_id": secret,
        "vid": secret,
        "sid": secret,
        "invoice_id": secret,
    }


@given(objects)
@settings(max_examples=30)
def test_whatever_else_is_sent_a_person_s_words_never_reach_a_row(body: dict[str, Any]) -> None:
    secret = "ann.smith@example.org"
    for pipeline in (ANONYMISING, DROPPING):
        prepared = _prepared(pipeline, {**body, **_secret_places(secret), "cflags": 0})
        if prepared is not None:
            assert secret not in text_of(prepared.entry)
            for row in prepared.entry.rows:
                check(row)


@given(keys, documents)
def test_an_event_of_anything_is_withheld_or_refused_and_its_rows_fit(key: str, value: Any) -> None:
    for body in ({key: value}, {"params": {key: value}, "tid": TID, "oid": OID}):
        for pipeline in (ANONYMISING, DROPPING, STRICT):
            prepared = _prepared(pipeline, body)
            for row in prepared.entry.rows if prepared else ():
                check(row)


def _prepared(pipeline: Pipeline, body: dict[str, Any]) -> Prepared | None:
    try:
        return pipeline.prepare(hit(body))
    except BadHit:
        return None


def test_the_sender_s_address_is_nowhere_in_its_rows() -> None:
    body = {"ename": "from 203.0.113.7", "params": {"client": {"addr": ["203.0.113.7"]}, "n": 1}}
    kept = STRICT.prepare(hit(body, ip="203.0.113.7"))
    assert "203.0.113.7" not in text_of(kept.entry)
    row = columns(kept.entry)
    assert row["params"] == {"client": {"addr": [""]}, "n": 1}
    assert row["ename"] == "from"
    keeping = guarded(Guard(), use_remove_ip=False).prepare(hit(body, ip="203.0.113.7"))
    assert columns(keeping.entry)["params"] == body["params"]


def test_the_hash_of_an_address_is_keyed_where_a_key_is_given() -> None:
    one, other, none = (
        columns(guarded(Guard(), ip_hash_key=key).prepare(hit({})).entry)["iphash"]
        for key in (b"a" * 16, b"b" * 16, b"")
    )
    assert len({one, other, none}) == 3
    assert none == "b4c84prdbt401t5oxss1cy8xcx"
    assert len(one) == 32
