"""What becomes of each key of a payment: its column in that column's form, params, or a refusal by name."""

from typing import Any

from tracker.errors import BadHit
from tracker.steps import amounts, coerce
from tracker.steps.draft import (
    Draft,
    Put,
    Rules,
    put_dimension,
    put_extra,
    put_id,
    put_nowhere,
    put_params,
    put_text,
    put_upper,
)
from tracker.steps.keys import any_case
from tracker.tables import Kind
from tracker.tables.money import CURRENCY, PAYMENTS

AMOUNTS = frozenset(column.name for column in PAYMENTS.columns if column.kind is Kind.DECIMAL) | {"amt"}
"""Keys whose values are decimals; `amt` is the revenue where none is said."""
MOMENTS = frozenset({"invoiced_at", "starts", "ends", "paid_at"})
KNOWN = frozenset(PAYMENTS.kinds()) | {"amt", "payments"}
"""Keys that are recognised in any case."""
REFUSED = any_case("ip", "auth") | {"iphash", "bhash", "ehash", "chash", "uhash", "acct"}
"""Removed from the top level of params: an address, tokens, hashes of a person."""


def payment_rules(namespace: str) -> Rules:
    """What becomes of each key of a payment; a key without a rule goes into params.

    What only its own column can hold (amount, currency, date, id) raises BadHit if it does not fit.
    """
    by_kind: dict[Kind, Put] = {
        Kind.UUID: _needed(put_id(namespace), "text or a UUID"),
        Kind.TEXT: put_text,
        Kind.LABEL: put_dimension,
        Kind.DECIMAL: _needed(_put_amount, f"a decimal number below {amounts.MOST_AMOUNT:.0e}"),
        Kind.INT64: _put_whole,
        Kind.TIMESTAMP: _needed(_put_moment, "a time of ISO 8601, or seconds since 1970, until 2262"),
        Kind.JSON: put_params,
    }
    rules: dict[str, tuple[str, Put]] = dict.fromkeys(REFUSED, ("", put_nowhere))
    rules |= {column.name: (column.name, by_kind[column.kind]) for column in PAYMENTS.columns}
    return rules | {
        "amt": ("amt", by_kind[Kind.DECIMAL]),
        "currency": ("currency", _needed(_put_currency, "a code of ISO 4217")),
        "country": ("country", put_upper),
        "hhash": ("", put_nowhere),
        "created_at": ("", put_extra),
        "updated_at": ("", put_extra),
    }


def _needed(put: Put, expected: str) -> Put:
    """A value that its column cannot hold refuses the payment."""

    def put_or_refuse(draft: Draft, key: str, column: str, value: Any) -> None:
        try:
            put(draft, key, column, value)
        except coerce.Misfit as error:
            raise BadHit(f"{key}: expected {expected}", "field") from error

    return put_or_refuse


def _put_amount(draft: Draft, key: str, column: str, value: Any) -> None:
    if kept := amounts.amount(value):
        draft.row[column] = kept


def _put_currency(draft: Draft, key: str, column: str, value: Any) -> None:
    kept = amounts.currency(value)
    if kept not in ("", CURRENCY.default):
        draft.row[column] = kept


def _put_moment(draft: Draft, key: str, column: str, value: Any) -> None:
    if kept := amounts.moment(value):
        draft.row[column] = kept


def _put_whole(draft: Draft, key: str, column: str, value: Any) -> None:
    """A whole number; one with a fraction is none."""
    number = coerce.integer(value, -(2**63), 2**63 - 1)
    if type(value) is not int and coerce.real(value) != number:
        raise coerce.Misfit
    if number:
        draft.row[column] = number
