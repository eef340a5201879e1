"""What the tests of the steps build: envelopes, hits, JSON values, and a check of finished rows."""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tracker.batching.row_check import problem_of
from tracker.events import Entry, Envelope, Hit, Row
from tracker.metrics import Metrics
from tracker.pipeline import Pipeline, PipelineSettings
from tracker.steps.keys import HASHED, KNOWN
from tracker.steps.places import Geo, nowhere
from tracker.tables import CATALOGUE, Kind

NOW = 1_795_000_000.25
VID = "11111111-2222-4333-8444-555555555555"
SID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
_TIMES = (Kind.TIMESTAMP, Kind.NANOTIME, Kind.DATE)


def envelope(**changes: Any) -> Envelope:
    """A browser's POST to `/tr/v1/tr/`, changed as wanted."""
    facts: dict[str, Any] = {
        "route": "tr",
        "is_client": True,
        "host": "example.com",
        "ip": "8.8.8.8",
        "user_agent": "Mozilla/5.0 Test",
        "language": "de-CH,en;q=0.5",
        "ja4h": "po11nn03dech_0123456789ab_000000000000_000000000000",
        "uri": "/tr/v1/tr/",
        "base": {},
    }
    return Envelope(**(facts | changes))


def hit(body: dict[str, Any], **changes: Any) -> Hit:
    """A hit at NOW."""
    return Hit(envelope(**changes), body, NOW)


class Nowhere:
    """A spooler for those who store nothing."""

    async def add(self, entries: Sequence[Entry]) -> int:
        return 0


def make(geo: Geo = nowhere, **changes: Any) -> Pipeline:
    """A pipeline that is only asked to prepare."""
    return Pipeline(Nowhere(), PipelineSettings(**changes), Metrics(CollectorRegistry(), "test"), geo=geo)


PIPELINE = make()


def event(body: dict[str, Any], **around: Any) -> dict[str, Any]:
    """The events row that a body becomes."""
    return columns(PIPELINE.prepare(hit(body, **around)).entry)


def columns(entry: Entry, table: str = "events") -> dict[str, Any]:
    """The only row of a table, read back."""
    found = [json.loads(row.line) for row in entry.rows if row.table == table]
    assert len(found) == 1, f"{len(found)} rows of {table}"
    row: dict[str, Any] = found[0]
    return row


def tables(entry: Entry) -> list[str]:
    """The tables of all rows."""
    return [row.table for row in entry.rows]


def check(row: Row) -> None:
    """The row is one line of JSON that fits the catalogue; only times are there also at their default."""
    assert b"\n" not in row.line
    read = json.loads(row.line)
    assert not problem_of(row.table, read), row
    for column in CATALOGUE[row.table].columns:
        if column.name in read:
            value = read[column.name]
            is_default = value in (column.default, {}, [])
            assert not is_default or column.kind in _TIMES, f"{row.table}.{column.name} = {value!r}"
            assert column.kind is not Kind.UUID or value == value.lower()


def _in_some_case(word: str) -> st.SearchStrategy[str]:
    return st.tuples(*(st.sampled_from((letter, letter.upper())) for letter in word)).map("".join)


keys = st.one_of(
    st.sampled_from(sorted(KNOWN)),
    st.sampled_from(HASHED).flatmap(_in_some_case),
    st.sampled_from(sorted(KNOWN)).map(str.upper),
    st.text(max_size=6),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(
        (VID, VID.upper(), "12", "-1.5e3", "1e999", "{", '{"email":"a"}', "[1]", "\x00", "", " ", "US")
    ),
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(keys, documents, max_size=12)
