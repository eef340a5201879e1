"""An event's row -> all rows it becomes: the event itself and what cannot be derived from it later."""

from typing import Any

from tracker.events import Row, Values
from tracker.steps.ids import new_id
from tracker.steps.interests import interest_rows
from tracker.steps.messaging import messaging_rows
from tracker.steps.privacy import PersonHashes
from tracker.steps.rows import encode


def event_rows(row: dict[str, Any], person: PersonHashes, new_host: str) -> tuple[Row, ...]:
    """Rows of one event; server events have no other row than themselves.

    `new_host` is the host's name if it should be written down, else ''.
    """
    event = encode("events", row)
    if "is_client" not in row or not (new_host or "uid" in row or "is_new" in row or any(person)):
        return (event,)
    rows = [event]
    if new_host:
        rows.append(_host_row(row, new_host))
    if "uid" in row:
        rows.append(_seen_row("userhosts", "uid", row["uid"], row))
    if any(person):
        rows += _person_rows(row, person)
    if "is_new" in row:
        rows.append(counted_row("vids_created", row["created_at"]))
    return tuple(rows)


def carried_rows(values: Values, row: dict[str, Any], faults: list[str]) -> tuple[Row, ...]:
    """What an event carries beside itself: the state of its thread, a message, its visitor's interests.

    `values` are what was sent, `row` is the event's own. What does not fit is added to `faults` by reason.
    """
    return messaging_rows(values, row, faults) + interest_rows(values, row, faults)


def _host_row(row: dict[str, Any], host: str) -> Row:
    return encode("hosts", {"hhash": row["hhash"], "hostname": host, "created_at": row["created_at"]})


def _person_rows(row: dict[str, Any], person: PersonHashes) -> list[Row]:
    named = (
        ("usernames", "uhash", person.uhash),
        ("emails", "ehash", person.ehash),
        ("cells", "chash", person.chash),
    )
    return [_seen_row(table, column, value, row) for table, column, value in named if value]


def _seen_row(table: str, column: str, value: str, row: dict[str, Any]) -> Row:
    seen = {column: value, "vid": row["vid"], "sid": row["sid"], "created_at": row["created_at"]}
    if "hhash" in row:
        seen["hhash"] = row["hhash"]
    return encode(table, seen)


def counted_row(name: str, created_at: str) -> Row:
    """One more of what the counter counts, on the day of a row's time."""
    return encode("counters", {"id": name, "total": 1, "date": created_at[:10], "cid": new_id()})
