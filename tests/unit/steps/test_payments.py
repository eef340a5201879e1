"""What was sent about payments becomes rows: amounts exact, ids the same each time, bad items by name."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.steps.build import NOW, PIPELINE, SID, VID, check, columns, documents, envelope
from tracker.errors import BadHit
from tracker.pipeline import Prepared
from tracker.steps import ids
from tracker.steps.json_input import loads_exactly
from tracker.steps.payment_rules import AMOUNTS, KNOWN
from tracker.steps.payments import MOST_COMMON_BYTES, idempotency_key

AT = envelope(route="ltv", is_client=False)
CARD = {"uid": VID, "currency": "EUR", "orid": SID, "amt": 75, "note": "n"}
ORDER = {"oid": "org-id", "uid": "user-123", "orid": "order-1", "amt": 5}


def prepared(
    sent: Any, key: str = "", said: dict[str, Any] | None = None, now: float = NOW
) -> list[Prepared | BadHit]:
    """What becomes of a body, given as JSON text or as what JSON can say."""
    text = sent if isinstance(sent, str) else json.dumps(sent)
    told = PIPELINE.payments_in(AT, loads_exactly(text, 64), key)
    return list(PIPELINE.prepare_payments(AT, told, said or {}, now))


def rows(
    sent: Any, key: str = "", said: dict[str, Any] | None = None, now: float = NOW
) -> list[dict[str, Any]]:
    """The rows of a body without bad items."""
    made = []
    for one in prepared(sent, key, said, now):
        assert isinstance(one, Prepared), one
        made.append(columns(one.entry, "payments"))
    return made


def row(sent: Any, key: str = "", said: dict[str, Any] | None = None, now: float = NOW) -> dict[str, Any]:
    (only,) = rows(sent, key, said, now)
    return only


def refusal(sent: Any) -> str:
    (only,) = prepared(sent)
    assert isinstance(only, BadHit)
    return only.reason


def test_a_payment_has_its_amounts_as_they_were_sent_and_its_ids_readable() -> None:
    made = row(
        '{"vid": "user-id", "UID": "user-123", "oid": "org-id", "amt": 0.30, "Currency": "eur",'
        ' "orid": "order-123", "tax": "0.06", "country": "de", "product": "Blue Shoe", "sku": 7}'
    )
    assert made == {
        "id": made["id"],
        **{
            name: ids.named(text)
            for name, text in (("vid", "user-id"), ("uid", "user-123"), ("oid", "org-id"))
        },
        "orid": ids.named("order-123"),
        "revenue": "0.3",
        "tax": "0.06",
        "currency": "EUR",
        "country": "DE",
        "product": "Blue Shoe",
        "hhash": made["hhash"],
        "created_at": "2026-11-18 11:06:40.250Z",
        "updated_at": "2026-11-18 11:06:40.250Z",
        "paid_at": "2026-11-18 11:06:40.250Z",
        "params": {"vid": "user-id", "uid": "user-123", "oid": "org-id", "orid": "order-123", "sku": 7},
    }


def test_the_revenue_goes_before_the_amount_which_stays_in_params() -> None:
    made = row({"amt": 5, "revenue": "4.50"})
    assert (made["revenue"], made["params"]) == ("4.5", {"amt": "5"})
    assert row({"amt": 5, "revenue": ""})["revenue"] == "5"
    assert "params" not in row({"amt": 5, "revenue": 5.0})


def test_what_holds_for_all_payments_stands_beside_them_and_an_item_goes_before_it() -> None:
    first, second = rows(
        {
            **CARD,
            "payments": [{"amt": 50}, {"amt": 25, "currency": "usd", "uid": SID}],
        }
    )
    assert (first["revenue"], first["currency"], first["uid"], first["orid"]) == ("50", "EUR", VID, SID)
    assert (second["revenue"], second["uid"], second["params"]) == ("25", SID, {"note": "n"})
    assert "currency" not in second  # the table's own default


def test_a_bad_item_is_refused_and_keeps_its_neighbours() -> None:
    told = prepared({"payments": [{"amt": 1}, {"amt": "x"}, 5, None, {"amt": 2}]})
    assert [isinstance(one, Prepared) for one in told] == [True, False, False, False, True]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        *(({"amt": bad}, "amt") for bad in ("x", True, "1e20", "NaN")),
        ({"amt": []}, "amt"),
        ({"amt": {}}, "amt"),
        ('{"amt": 1e30}', "amt"),
        ('{"amt": 1' + "0" * 400 + "}", "amt"),
        ('{"amt": 1e400}', "amt"),
        *(({"amt": 1, "tax_rate": bad}, "tax_rate") for bad in ("19%", [1])),
        *(({"amt": 1, "currency": bad}, "currency") for bad in ("ZZZ", 5, "DEM")),
        ({"amt": 1, "currency": []}, "currency"),
        *(({"amt": 1, "paid_at": bad}, "paid_at") for bad in ("0001-01-01", "99999-01-01", "x", True)),
        *(({"amt": 1, "starts": bad}, "starts") for bad in (-1, "1969-12-31T23:59:59Z")),
        *(({"amt": 1, name: {}}, name) for name in ("id", "oid", "uid", "vid", "orid", "invid", "owner")),
        ({"amt": 1, "uid": True}, "uid"),
    ],
)
def test_what_only_its_own_column_can_hold_refuses_the_item_by_name(sent: Any, field: str) -> None:
    assert refusal(sent).startswith(f"{field}: expected ")


def test_a_payment_without_any_amount_is_refused() -> None:
    nothing: tuple[Any, ...] = ({}, {"uid": "u"}, {"amt": ""}, {"amt": None}, {"payments": [{}]})
    for sent in nothing:
        assert refusal(sent).startswith("a payment needs an amount")
    assert "revenue" not in row({"amt": 0})


def test_what_else_does_not_fit_stays_in_params_and_is_counted() -> None:
    (one,) = prepared('{"amt": 1, "duration": 1.5, "product": {"a": 1.25}, "region": [1]}')
    assert isinstance(one, Prepared)
    assert columns(one.entry, "payments")["params"] == {
        "duration": 1.5,
        "product": {"a": 1.25},
        "region": [1],
    }
    assert sorted(one.faults) == [f"column_type:{name}" for name in ("duration", "product", "region")]
    assert [row({"amt": 1, "duration": sent}).get("duration") for sent in (12, "12", "x", 2**70, 3.0)] == [
        *(12, 12, None, None, 3)
    ]


def test_what_names_a_person_or_an_address_is_not_kept() -> None:
    deep = {"email": "a@b.c", "x": [{"Cell": "1", "ok": 1}]}
    made = row(
        {
            "amt": 1,
            "email": "a@b.c",
            "uname": "u",
            "IP": "1.2.3.4",
            "Auth": "t",
            "deep": deep,
            "params": '{"jwt": "t", "kept": 8, "ip": "1.2.3.4"}',
            "note": "from 8.8.8.8!",
        }
    )
    assert made["params"] == {"kept": 8, "deep": {"x": [{"ok": 1}]}, "note": "from !"}


def test_cookies_say_who_pays_where_the_payment_does_not() -> None:
    said = {"vid": VID, "sid": "s", "cflags": 3, "ref": VID, "hhash": "x"}
    made = row({"amt": 1, "sid": SID}, said=said)
    assert (made["vid"], made["sid"]) == (VID, SID)
    assert "params" not in made
    assert row({"amt": 1}, said=said)["params"] == {"sid": "s"}


def test_a_payments_own_id_is_its_id_in_every_form() -> None:
    assert row({"amt": 1, "id": VID.upper()}, key="k")["id"] == VID
    assert row({"amt": 1, "id": "pay_1"})["id"] == ids.named("pay_1")


def test_the_same_key_and_place_are_the_same_payment_of_an_organisation() -> None:
    def with_key(key: str, sent: Any) -> list[str]:
        return [made["id"] for made in rows(sent, key)]

    two = {"oid": "o", "payments": [{"amt": 1}, {"amt": 1}]}
    assert with_key("k", two) == with_key("k", two)
    assert len({*with_key("k", two), *with_key("l", two), *with_key("k", two | {"oid": "p"})}) == 6
    assert with_key("k", {"oid": "o", "amt": 1}) == [ids.named("key:k:0", ids.named("o"))]
    beside = {**two, "id": "batch-7"}
    assert with_key("", beside) == with_key("", beside) != with_key("", two | {"id": "batch-8"})


@pytest.mark.parametrize("place", ["orid", "invid"])
def test_the_same_whole_item_is_the_same_payment_whenever_and_however_it_is_written(place: str) -> None:
    sent = {"oid": "o", "uid": "u", place: "1", "amt": 9.9, "tax": 0, "starts": "2026-11-22"}
    same = [
        row(sent),
        row(sent, now=NOW + 9e6, said={"vid": VID, "sid": SID, "uid": "other"}),
        row({**sent, "sid": "another session", "amt": "9.90", "currency": "usd", "starts": "20261122T00Z"}),
        row({"payments": [sent]}),
        row(
            {
                "oid": "o",
                "uid": "u",
                "payments": [{key: sent[key] for key in sent if key not in ("oid", "uid")}],
            }
        ),
    ]
    assert len({made["id"] for made in same}) == 1
    other: list[dict[str, Any]] = [
        {"amt": -9.9},
        {"starts": "2026-11-23"},
        {"uid": "v"},
        {"currency": "EUR"},
        {"line": 2},
        {"oid": "p"},
    ]
    assert len({row(sent | change)["id"] for change in ({}, *other)}) == 7


def test_equal_lines_of_one_cart_are_payments_of_their_own_each_time() -> None:
    cart = {**ORDER, "payments": [{"amt": 5}, {"amt": 5}, {"amt": 6}]}
    first = [made["id"] for made in rows(cart)]
    assert len(set(first)) == 3
    assert [made["id"] for made in rows(cart)] == first


def test_an_item_that_nothing_names_is_new_each_time() -> None:
    assert row({"uid": "u", "amt": 1})["id"] != row({"uid": "u", "amt": 1})["id"]


def test_what_many_payments_have_in_common_is_bounded() -> None:
    long = "x" * MOST_COMMON_BYTES
    with pytest.raises(BadHit, match="in common"):
        prepared({"note": long, "payments": [{"amt": 1}, {"amt": 2}]})
    assert row({"note": long, "payments": [{"amt": 1}]})["params"]["note"] == long


@pytest.mark.parametrize("sent", [{}, False, 0, "x", "{}", {"a": 1}, 5])
def test_payments_that_are_no_array_are_refused(sent: Any) -> None:
    with pytest.raises(BadHit):
        prepared({"amt": 1, "payments": sent})


@pytest.mark.parametrize("sent", [[], None, "", " ", "[]"])
def test_an_empty_array_of_payments_is_the_single_form(sent: Any) -> None:
    assert row({"amt": 1, "payments": sent})["revenue"] == "1"


def test_payments_may_be_json_text_as_in_a_query() -> None:
    assert [made["revenue"] for made in rows({"payments": '[{"amt": 0.10}, {"amt": "2"}]'})] == ["0.1", "2"]


def test_a_key_is_one_short_printable_text() -> None:
    assert (idempotency_key([]), idempotency_key([" abc é "])) == ("", "abc é")
    for lines in ([""], ["  "], ["a" * 201], ["a\x00b"], ["a\tb"], ["\udcff"], ["a", "a"]):
        with pytest.raises(BadHit):
            idempotency_key(lines)


names = st.sampled_from(sorted(KNOWN - {"payments"})) | st.sampled_from(sorted(AMOUNTS)).map(str.upper)
looks_right = st.sampled_from(
    (VID, "user-1", "9.99", "usd", "2026-11-22", "2026-W47", "1e3", "-0", "\x00", 1.5, 2)
)
items = st.dictionaries(names | st.text(max_size=5), documents | looks_right, max_size=8)


@settings(max_examples=50)
@given(items, st.lists(items | documents, max_size=3), st.sampled_from(["", "key"]), items)
def test_whatever_is_sent_becomes_rows_that_fit_or_a_reason(
    common: dict[str, Any], some: list[Any], key: str, said: dict[str, Any]
) -> None:
    for sent in (common, {**common, "payments": some}):
        try:
            told = PIPELINE.payments_in(AT, loads_exactly(json.dumps(sent), 64), key)
        except BadHit:
            continue
        for one in PIPELINE.prepare_payments(AT, told, said, NOW):
            if isinstance(one, BadHit):
                assert one.reason
            else:
                (line,) = one.entry.rows
                check(line)
