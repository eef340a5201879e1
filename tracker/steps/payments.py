"""What was sent about payments -> their rows: one for each item, its id the same however often it comes.

Keys are `payment_rules`' business, amounts and times `amounts`'.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from tracker.clock import timestamp_text
from tracker.errors import BadHit
from tracker.events import Envelope, Row, Values
from tracker.steps import ids
from tracker.steps.amounts import plain
from tracker.steps.anonymise import anonymise_payment
from tracker.steps.draft import Draft, Rules, fill, finish_params
from tracker.steps.hashes import host_hash
from tracker.steps.json_input import loads_exactly
from tracker.steps.payment_rules import AMOUNTS, KNOWN, MOMENTS, REFUSED
from tracker.steps.privacy import open_documents, take_person
from tracker.steps.protect import KEEP, Decision
from tracker.steps.residency import Home
from tracker.steps.rows import encode
from tracker.tables import ZERO_UUID

MOST_COMMON_BYTES = 4096
"""Of what several payments have in common: it is stored with each of them."""
MOST_KEY_LENGTH = 200

_EXACT = AMOUNTS | MOMENTS
_OF_ONE = AMOUNTS | {"id", "payments"}
"""What payments do not have in common."""
_SAID = frozenset({"uid", "oid", "tid", "invid", "vid", "sid", "updater", "owner", "org"})
"""What cookies and the `User` header may say of a payment."""


class Payment(NamedTuple):
    """One payment as it will be stored."""

    id: str
    vid: str
    """'' when nobody said, as the session."""
    sid: str
    row: Row
    faults: tuple[str, ...]
    """Reasons for which values were kept in params instead of their column."""
    decision: Decision = KEEP
    """Why it does not say who paid."""
    home: Home | None = None
    """Where it may go, None for everywhere."""


Decide = Callable[[Mapping[str, Any], Values], tuple[Decision, Home | None]]
"""What becomes of a payment's row and where it may go, by that and by whatever else was said of it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What one request said about payments."""

    common: Values
    """What holds for each item that does not say otherwise."""
    items: tuple[Any, ...]
    is_many: bool
    """It had an array of payments, be it of one."""
    key: str
    """Under which its payments are known again, '' for none."""


@dataclass(frozen=True, slots=True)
class PaymentSettings:
    """What payments need to know of the configuration."""

    rules: Rules
    prefix_private_hash: str
    max_depth: int


def idempotency_key(lines: list[str]) -> str:
    """What the lines of that header say, '' for none. Raises BadHit."""
    if not lines:
        return ""
    key = lines[0].strip()
    if len(lines) > 1 or not key or len(key) > MOST_KEY_LENGTH or not key.isprintable():
        reason = f"Idempotency-Key: expected one text of 1 to {MOST_KEY_LENGTH} printable characters"
        raise BadHit(reason, "idempotency_key")
    return key


def payments_in(values: Mapping[str, Any], key: str, max_depth: int) -> Sent:
    """One payment, or those of the array `payments`, which may be JSON text; an empty array is none.

    `values` is what body, query or path said, numbers as decimals; `key` the request's Idempotency-Key, ''
    for none. Raises BadHit.
    """
    known = _canonical(values)
    items = _opened(known.pop("payments", None), max_depth)
    if not items:
        return Sent({}, (known,), is_many=False, key=key)
    common = {name: value for name, value in known.items() if name not in _OF_ONE}
    if len(items) > 1 and len(orjson.dumps(common, default=str)) > MOST_COMMON_BYTES:
        raise BadHit(f"what the payments have in common has more than {MOST_COMMON_BYTES} bytes", "too_large")
    return Sent(common, tuple(items), is_many=True, key=key or _key_beside(known.get("id")))


def prepare_payments(
    envelope: Envelope,
    sent: Sent,
    said: Mapping[str, Any],
    settings: PaymentSettings,
    now: float,
    decide: Decide | None = None,
) -> Iterator[Payment | BadHit]:
    """Each item's payment in order, or why it is none. `said` is what cookies and the `User` header say.

    A payment's id is its own `id`; else that of the request's key and the item's place; else, where an order
    or invoice is named, that of the whole item; else a new one. Those of key and item are UUIDv5 in the
    namespace of the organisation's id, of `key:<key>:<place>` and `item:<its row>:<how many equal before>`.
    """
    equal: Counter[str] = Counter()
    for place, item in enumerate(sent.items):
        try:
            draft = _draft(_values(item, sent.common), settings)
            own_id = _id_of(draft.row, f"key:{sent.key}:{place}" if sent.key else "", equal)
            made = _payment(draft, own_id, _payer(draft.row, said, settings), envelope, now)
            yield _encoded(made, said, decide)
        except BadHit as error:
            yield error


def _canonical(values: Mapping[str, Any]) -> Values:
    """Keys that mean something in lower case, all others as sent; null says nothing. Later wins."""
    return {
        (lower if (lower := key.lower()) in KNOWN else key): value
        for key, value in values.items()
        if value is not None
    }


def _opened(sent: Any, max_depth: int) -> list[Any]:
    if sent is None or (isinstance(sent, str) and not sent.strip()):
        return []
    items = loads_exactly(sent, max_depth) if isinstance(sent, str) else sent
    if not isinstance(items, list):
        raise BadHit("payments: expected an array", "form")
    return items


def _key_beside(sent: Any) -> str:
    """An `id` beside the array is the request's key."""
    return "" if sent is None or sent == "" or isinstance(sent, dict | list) else f"id={plain(sent)}"


def _values(item: Any, common: Values) -> Values:
    if not isinstance(item, dict):
        raise BadHit("expected a JSON object", "form")
    return {**common, **_canonical(item)}


def _draft(values: Values, settings: PaymentSettings) -> Draft:
    """The row as far as the item itself says it."""
    open_documents(values, settings.max_depth)
    take_person(values, settings.prefix_private_hash)
    draft = Draft({})
    told = {key: value if key in _EXACT else plain(value) for key, value in values.items()}
    fill(draft, settings.rules, told)
    row = draft.row
    if AMOUNTS.isdisjoint(row):
        raise BadHit("a payment needs an amount: amt, revenue, payment, total or another", "no_amount")
    amt = row.pop("amt", None)
    if amt is not None and row.setdefault("revenue", amt) != amt:
        draft.params["amt"] = amt
    for column in [name for name in AMOUNTS.intersection(row) if row[name] == "0"]:
        del row[column]
    finish_params(draft, REFUSED)
    return draft


def _id_of(row: Mapping[str, Any], keyed: str, equal: Counter[str]) -> str:
    if "id" in row:
        return str(row["id"])
    oid = row.get("oid", ZERO_UUID)
    if keyed:
        return ids.named(keyed, oid)
    if "orid" not in row and "invid" not in row:
        return ids.new_id()
    whole = json.dumps(_without_session(row), sort_keys=True)
    equal[whole] += 1
    return ids.named(f"item:{whole}:{equal[whole] - 1}", oid)


def _without_session(row: Mapping[str, Any]) -> dict[str, Any]:
    """The item that is the same in another session."""
    kept = {name: value for name, value in row.items() if name not in ("sid", "params")}
    params = {key: value for key, value in row.get("params", {}).items() if key != "sid"}
    return {**kept, "params": params}


def _payer(row: Mapping[str, Any], said: Mapping[str, Any], settings: PaymentSettings) -> Draft:
    """Who pays, as far as only cookies and header say it: the one place where vid, sid, uid are filled in."""
    missing = {key: value for key, value in said.items() if key in _SAID and key not in row}
    payer = Draft({})
    fill(payer, settings.rules, missing)
    return payer


class _Made(NamedTuple):
    """A payment's row that is whole, and the faults of it."""

    row: dict[str, Any]
    faults: tuple[str, ...]


def _payment(draft: Draft, own_id: str, payer: Draft, envelope: Envelope, now: float) -> _Made:
    row = {**payer.row, **draft.row, "id": own_id}
    if payer.params:
        row["params"] = {**payer.params, **row.get("params", {})}
    if envelope.host:
        row["hhash"] = host_hash(envelope.host)
    row["created_at"] = row["updated_at"] = timestamp_text(now)
    row.setdefault("paid_at", row["created_at"])
    return _Made(row, (*draft.faults, *payer.faults))


def _encoded(made: _Made, said: Mapping[str, Any], decide: Decide | None) -> Payment:
    """A payment is never dropped: of who must not be known, nothing but the payment is kept."""
    row = made.row
    decision, home = decide(row, {**said, **row.get("params", {})}) if decide else (KEEP, None)
    if decision is not KEEP:
        decision = decision._replace(outcome="anonymise")
        anonymise_payment(row, decision.ground)
    vid, sid = row.get("vid", ""), row.get("sid", "")
    return Payment(row["id"], vid, sid, encode("payments", row), made.faults, decision, home)
