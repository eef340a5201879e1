"""What an event becomes that must not be kept as it was sent: rows that name nobody, or a count."""

from typing import Any, NamedTuple

from tracker.events import Envelope, Identity, Row, Values
from tracker.steps import ids
from tracker.steps.anonymise import anonymise, day_visitor, thread_rows
from tracker.steps.draft import Draft
from tracker.steps.privacy import NOBODY
from tracker.steps.protect import Decision
from tracker.steps.routing import counted_row, event_rows


class Withheld(NamedTuple):
    """What is stored instead, and what the sender is told: nothing of it lasts."""

    rows: tuple[Row, ...]
    identity: Identity
    client_id: bytes | None


def dropped(row: dict[str, Any], decision: Decision) -> Withheld:
    """Nothing of the event but that there was one: a counter named after the ground."""
    identity, client_id = ids.identify(row, is_new=False)
    rows = (counted_row(f"dropped_{decision.ground}", row["created_at"]),)
    return Withheld(rows, identity._replace(is_lasting=False), client_id)


def anonymised(
    draft: Draft, values: Values, envelope: Envelope, decision: Decision, day_key: bytes, new_host: str
) -> Withheld:
    """The event without what identifies a person; `new_host` is as in `event_rows`."""
    row = draft.row
    visitor = day_visitor(day_key, envelope, row.get("vid"))
    anonymise(row, decision.ground)
    for name in ("vid", "sid"):
        row.pop(name, None)
    if visitor is not None:
        row |= visitor._asdict()
    identity, client_id = ids.identify(row, is_new=False)
    row.pop("is_new", None)  # whoever is new each day is no new visitor
    rows = event_rows(row, NOBODY, new_host) + thread_rows(values, row, draft.faults)
    return Withheld(rows, identity._replace(is_lasting=False, is_new=False), client_id)
