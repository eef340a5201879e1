"""Amounts, currencies and times of payments, exactly as they were sent."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.batching.row_check import problem_of
from tracker.steps.amounts import MOST_AMOUNT, amount, currency, moment, plain
from tracker.steps.coerce import Misfit

anything = st.recursive(
    st.none() | st.booleans() | st.text(max_size=30) | st.decimals() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
looks_like_a_number = st.text("0123456789.eE+- _,", min_size=1, max_size=30)
looks_like_a_time = st.text("0123456789-:T WZ+.,", min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (Decimal("0.10"), "0.1"),
        (Decimal("0.30000000000000004"), "0.3"),
        (" 99.99 ", "99.99"),
        ("1e3", "1000"),
        ("-.5", "-0.5"),
        ("5.", "5"),
        (Decimal("0.0000000005"), "0"),
        (Decimal("0.0000000015"), "0.000000002"),
        (Decimal("0.0000000025"), "0.000000002"),
        ("99999999999999999999.999999999", "99999999999999999999.999999999"),
        (Decimal("-0"), "0"),
        ("-0.0000000001", "0"),
        ("1e-999999999", "0"),
        (12, "12"),
        ("", ""),
        ("  ", ""),
    ],
)
def test_an_amount_is_exact_and_rounded_half_to_even(sent: Any, kept: str) -> None:
    assert amount(sent) == kept


@pytest.mark.parametrize(
    "sent",
    [
        *(
            "x",
            "1,5",
            "1_000",
            "$5",
            "NaN",
            "Infinity",
            "0x10",
            "1e",
            "1 2",
            "\u0661",
            "1" * 101,
            "1e9999999999",
        ),
        *("1e20", "-100000000000000000000", "99999999999999999999.9999999999", "1e999999999"),
        *(True, None, 1.5, [], {}, Decimal("NaN"), Decimal("Infinity"), Decimal("1e20")),
    ],
)
def test_what_is_no_amount_is_refused(sent: Any) -> None:
    with pytest.raises(Misfit):
        amount(sent)


@given(st.decimals(-MOST_AMOUNT + 1, MOST_AMOUNT - 1, places=9))
def test_every_amount_of_nine_places_comes_back(number: Decimal) -> None:
    for sent in (number, str(number), f"{number:f}"):
        assert Decimal(amount(sent)) == number
        assert problem_of("payments", {"revenue": amount(sent)}) == ""


@given(anything | looks_like_a_number)
def test_whatever_is_sent_as_an_amount_fits_or_is_refused(sent: Any) -> None:
    try:
        kept = amount(sent)
    except Misfit:
        return
    assert kept == "" or problem_of("payments", {"revenue": kept}) == ""


def test_a_currency_is_a_code_of_iso_4217_in_use() -> None:
    assert [currency(sent) for sent in ("usd", " EUR ", "JPY", "")] == ["USD", "EUR", "JPY", ""]
    wrong: tuple[Any, ...] = ("DEM", "ZZZ", "EURO", "€", "USD\x00", 978, None, True, ["USD"], {})
    for sent in wrong:
        with pytest.raises(Misfit):
            currency(sent)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-11-22", "2026-11-22 00:00:00.000Z"),
        ("20261122", "2026-11-22 00:00:00.000Z"),
        ("2026-11", "2026-11-01 00:00:00.000Z"),
        ("2026-W47-7", "2026-11-22 00:00:00.000Z"),
        ("2026W477", "2026-11-22 00:00:00.000Z"),
        ("2026-326", "2026-11-22 00:00:00.000Z"),
        ("2026326", "2026-11-22 00:00:00.000Z"),
        ("2026-11-22T03:04", "2026-11-22 03:04:00.000Z"),
        ("2026-11-22 03:04:05", "2026-11-22 03:04:05.000Z"),
        ("2026-11-22T03:04:05.1239Z", "2026-11-22 03:04:05.123Z"),
        ("2026-11-22t03:04:05,5z", "2026-11-22 03:04:05.500Z"),
        ("20261122T030405+0130", "2026-11-22 01:34:05.000Z"),
        ("2026-11-22T03:04:05-08", "2026-11-22 11:04:05.000Z"),
        ("2026-326T03", "2026-11-22 03:00:00.000Z"),
        (" 1970-01-01T01:00:00+01:00 ", "1970-01-01 00:00:00.000Z"),
        (Decimal("1795000000.25"), "2026-11-18 11:06:40.250Z"),
        (Decimal(1795000000250), "2026-11-18 11:06:40.250Z"),
        ("1795000000", "2026-11-18 11:06:40.000Z"),
        ("2262-04-11T23:47:16Z", "2262-04-11 23:47:16.000Z"),
        ("", ""),
    ],
)
def test_every_form_of_a_date_or_time_is_read(sent: Any, kept: str) -> None:
    assert moment(sent) == kept


@pytest.mark.parametrize(
    "sent",
    [
        *("0001-01-01", "99999-01-01", "1969-12-31", "2262-04-12", "2026-13-01", "2026-02-30", "2026-366"),
        *(
            "2026-000",
            "2026-11-22x03:00",
            "22.11.2026",
            "11/22/2026",
            "now",
            "2026-11-22T25:00",
            "-1",
            "1e300",
        ),
        *("2026-11-22T03:00+99:00", "2026-11-22+03:00", "P1D", "1" * 200, "\ud800", "\uff12026-11-22"),
        *(Decimal(-1), Decimal("1e300"), Decimal("NaN"), True, None, 1.5, [], {}),
    ],
)
def test_what_is_no_time_that_stores_hold_is_refused(sent: Any) -> None:
    with pytest.raises(Misfit):
        moment(sent)


@given(anything | looks_like_a_time)
def test_whatever_is_sent_as_a_time_fits_or_is_refused(sent: Any) -> None:
    try:
        kept = moment(sent)
    except Misfit:
        return
    assert kept == "" or problem_of("payments", {"paid_at": kept}) == ""


def test_numbers_of_documents_stay_numbers_only_where_that_is_exact() -> None:
    sent = {"a": [Decimal("1.5"), Decimal(7), Decimal("0.1")], "b": Decimal(2**64), "c": Decimal("1e400")}
    assert plain(sent) == {"a": [1.5, 7, 0.1], "b": str(2**64), "c": "1E+400"}
    assert plain(Decimal("0.12345678901234567890123")) == "0.12345678901234567890123"
