"""An edit makes a row of the catalogue or nothing: whatever the patch, whatever the row."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.batches import event, line
from tracker.batching.edits import BadEdit, Edit, Unedited
from tracker.batching.row_check import problem_of
from tracker.tables import CATALOGUE, DEFAULTS, Kind

UUID = "0192f0c1-2f3a-7000-8000-000000000001"
GOOD: dict[Kind, list[Any]] = {
    Kind.UUID: [UUID, UUID.upper()],
    Kind.TEXT: ["", "x\n", "ü"],
    Kind.LABEL: ["", "x\n", "ü"],
    Kind.INT8: [-(2**7), 2**7 - 1],
    Kind.INT16: [-(2**15), 2**15 - 1],
    Kind.INT32: [0, -(2**31), 2**31 - 1],
    Kind.INT64: [-(2**63), 2**63 - 1],
    Kind.UINT32: [0, 2**32 - 1],
    Kind.UINT64: [0, 2**64 - 1],
    Kind.FLOAT64: [0, -1.5, 1e300],
    Kind.DECIMAL: ["0", "-0.10", "12345678901234567890123456789.123456789"],
    Kind.BOOL: [True, False],
    Kind.TIMESTAMP: ["2026-11-22 03:00:00.123Z"],
    Kind.NANOTIME: ["2026-11-22 03:00:00.123456789Z"],
    Kind.DATE: ["2026-11-22"],
    Kind.JSON: [{}, {"a": [None]}],
    Kind.TEXTS: [[], ["", "ü"]],
    Kind.UUIDS: [[], [UUID, UUID.upper()]],
}
BAD: dict[Kind, list[Any]] = {
    Kind.UUID: ["", "x", UUID[:-1], UUID + "0", UUID.replace("-", ""), 1, None],
    Kind.TEXT: ["a\0b", 1, None, [], True],
    Kind.LABEL: ["a\0b", 1, None],
    Kind.INT8: [2**7, -(2**7) - 1, 1.0, "1", True, None],
    Kind.INT16: [2**15, -(2**15) - 1, 1.0, "1", True, None],
    Kind.INT32: [2**31, -(2**31) - 1, 1.0, "1", True, None],
    Kind.INT64: [2**63, 1.0, "1", False],
    Kind.UINT32: [-1, 2**32, 1.0],
    Kind.UINT64: [-1, 2**64, 1.0],
    Kind.FLOAT64: ["1", True, None, float("nan"), float("inf")],
    Kind.DECIMAL: [0.1, 1, "", ".1", "1.", "1e3", "1.1234567890", "1" * 30, "NaN", "+1", " 1", None],
    Kind.BOOL: [0, 1, "true", None],
    Kind.TIMESTAMP: [
        "2026-11-22", "2026-11-22T03:00:00.123Z", "2026-13-22 03:00:00.123Z", "1969-12-31 23:59:59.999Z", 1
    ],
    Kind.NANOTIME: [
        "2026-11-22 03:00:00.123Z", "2026-02-30 03:00:00.123456789Z", "2263-01-01 00:00:00.000000000Z", 0
    ],
    Kind.DATE: ["2026-02-30", "20261122", "2026-W01-1", "2026-11-22 ", 20261122, "2149-01-01"],
    Kind.JSON: ["{}", [], None, 1, True],
    Kind.TEXTS: ["[]", "a", {}, ["a\0b"], [1], [None], None],
    Kind.UUIDS: ["[]", UUID, {}, ["x"], [UUID, None], None],
}  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)  # fmt: skip
PATHS = st.sampled_from(
    ["", "/", "/eid", "/lat", "/params", "/params/a", "/params/a/0", "/params/a/-", "/x~0~1"]
)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "nonsense"]), "path": PATHS},
    optional={"value": VALUES, "from": PATHS},
)


def column_of(kind: Kind) -> tuple[str, str]:
    """A table and a column of it of this kind."""
    return next((t.name, c.name) for t in CATALOGUE.values() for c in t.columns if c.kind is kind)


def test_every_kind_of_column_has_cases() -> None:
    assert set(GOOD) == set(BAD) == set(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_a_value_fits_its_column_in_the_form_that_rows_have_and_in_no_other(kind: Kind) -> None:
    table, column = column_of(kind)
    empty: dict[Kind, Any] = {Kind.JSON: {}, Kind.TEXTS: [], Kind.UUIDS: []}
    default = empty.get(kind, DEFAULTS[kind])
    assert [value for value in (*GOOD[kind], default) if problem_of(table, {column: value})] == []
    assert [value for value in BAD[kind] if not problem_of(table, {column: value})] == []


@pytest.mark.parametrize(
    ("table", "row"), [("nothing", {}), ("events", []), ("events", None), ("events", {"Lat": 1.0})]
)
def test_what_is_no_row_of_a_table_has_a_problem(table: str, row: Any) -> None:
    assert problem_of(table, row)


def test_a_problem_never_shows_what_somebody_sent() -> None:
    assert problem_of("events", {"lat": "jane@example.com"}) == "column lat: not the form of float64"


def test_a_row_that_an_edit_does_not_change_keeps_its_very_bytes() -> None:
    row = b'{ "lat" : 1.50, "eid":"' + UUID.encode() + b'"}'
    assert Edit('[{"op": "test", "path": "/lat", "value": 1.5}]').apply("events", row) == row


@pytest.mark.parametrize("row", [b"", b"nonsense", b"[1]", b'{"eid": "\xff"}', b"null"])
def test_what_is_no_object_cannot_be_edited(row: bytes) -> None:
    with pytest.raises(Unedited):
        Edit('[{"op": "add", "path": "/lat", "value": 1}]').apply("events", row)


@given(st.lists(OPERATIONS, max_size=4), VALUES)
def test_whatever_the_patch_a_row_of_the_table_with_its_key_comes_out_or_nothing(
    operations: list[dict[str, Any]], params: Any
) -> None:
    before = event(lat="x", params={"a": [params]})
    row = line(before)
    try:
        edited = orjson.loads(Edit(orjson.dumps(operations).decode()).apply("events", row))
    except (BadEdit, Unedited):
        return
    assert problem_of("events", edited) == ""
    assert edited["eid"] == before["eid"]


@given(st.text(max_size=40) | VALUES.map(lambda value: orjson.dumps(value).decode()))
def test_whatever_the_text_it_is_an_edit_or_a_bad_one(text: str) -> None:
    try:
        Edit(text)
    except BadEdit as refusal:
        assert str(refusal)


def test_copies_that_double_a_row_again_and_again_are_stopped() -> None:
    doubling = [{"op": "add", "path": "/params", "value": {"a": "x" * 1000}}] + [
        {"op": "copy", "from": "/params", "path": f"/params/c{number}"} for number in range(40)
    ]
    edit = Edit(orjson.dumps(doubling).decode())
    with pytest.raises(Unedited, match="bytes"):
        edit.apply("events", line(event()))
