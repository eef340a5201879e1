"""Whose a row is, what is said of whom, and who is withheld: plain decisions."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.errors import BadHit
from tracker.persons.asked import Asked, Naming, asked_of, packed, unpacked, widened
from tracker.persons.forgotten import MARK_BYTES, Forgotten
from tracker.persons.judge import GONE, PersonJudge
from tracker.steps import ids
from tracker.steps.hashes import private_hash
from tracker.tables import ZERO_UUID
from tracker.tables.persons import MOST_VISITORS, Person, literal

NAMING = Naming(ids.NAMESPACE, "salt")
ANNA, BOB, CAROL = (ids.named(name) for name in ("anna", "bob", "carol"))
OID = ids.named("org")


def of(**said: Any) -> Asked:
    return asked_of(said, NAMING)


def test_ids_are_taken_in_any_form() -> None:
    assert of(vid=" anna ").name == ANNA
    assert of(uid=ANNA.upper()).name == ANNA
    assert of(vid=f"{{{ANNA}}}", oid="org").oid == OID


def test_of_an_address_only_its_hash_is_kept() -> None:
    asked = of(email=" Anna@Example.org ")
    assert asked.person() == Person(ehashes=frozenset({private_hash("salt", "anna@example.org")}))
    assert "xample" not in repr(asked)


def test_what_is_found_widens_the_person_by_one_step() -> None:
    found = {BOB, ZERO_UUID}
    assert widened(of(vid="anna").person(), of(vid="anna"), found).ids == {ANNA}
    assert widened(of(uid="anna").person(), of(uid="anna"), found).known == {BOB}
    assert widened(of(email="a@b").person(), of(email="a@b"), found).visitors == {BOB}


def test_more_than_a_statement_can_name_is_refused() -> None:
    with pytest.raises(BadHit, match="more than"):
        widened(Person(), of(uid="anna"), {str(n) for n in range(MOST_VISITORS + 1)})


def test_an_open_erasure_can_be_written_down() -> None:
    asked = of(uid="anna", oid="org", keep=["payments"])
    person = widened(asked.person(), asked, {BOB})
    assert unpacked(packed(asked, person)) == (asked, person)


BAD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.lists(st.integers(), max_size=2), st.just(""),
    st.just("x" * 1001), st.just("\0"), st.just("\ud800"), st.just(ZERO_UUID),
    st.dictionaries(st.text(), st.none()),
)  # fmt: skip


@given(kind=st.sampled_from(["vid", "uid", "email", "oid", "keep", "dry_run"]), value=BAD)
def test_whatever_is_not_an_id_is_refused_by_name(kind: str, value: Any) -> None:
    said = {"vid": "anna", kind: value}
    is_fine = (kind == "dry_run" and isinstance(value, bool)) or (kind == "keep" and value == [])
    is_fine = is_fine or (value == ZERO_UUID and kind == "oid")
    if not is_fine:
        with pytest.raises(BadHit):
            asked_of(said, NAMING)


@given(st.text(max_size=60))
def test_every_text_is_an_id_or_refused(text: str) -> None:
    try:
        asked = of(vid=text)
    except BadHit:
        return
    assert ids.is_uuid(asked.name)
    assert asked.text == "" or literal(asked.text)


@pytest.mark.parametrize(
    "said", [{}, {"vid": "a", "uid": "b"}, {"name": "a"}, {"vid": "a", "keep": ["views"]}]
)
def test_what_names_nobody_or_two_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(BadHit):
        asked_of(said, NAMING)


USER = Person(users=frozenset({ANNA}), known=frozenset({BOB}))
"""Anna, whom a device of Bob's knows too."""


@pytest.mark.parametrize(
    ("row", "is_gone"),
    [
        ({"vid": CAROL, "uid": ANNA}, True),
        ({"vid": BOB}, True),
        ({"vid": BOB, "uid": ZERO_UUID}, True),
        ({"vid": BOB, "uid": CAROL}, False),
        ({"vid": CAROL}, False),
        ({}, False),
    ],
)
def test_of_a_shared_device_what_names_another_user_stays(row: dict[str, Any], is_gone: bool) -> None:
    line = json.dumps({"eid": CAROL, **row}).encode()
    assert PersonJudge(USER).line("events", line) == (GONE if is_gone else line)


def test_a_name_in_somebody_elses_row_is_taken_out() -> None:
    judge = PersonJudge(Person(visitors=frozenset({ANNA})))
    row = {"eid": CAROL, "vid": BOB, "ref": ANNA, "params": {"n": 1.5}}
    assert json.loads(judge.line("events", json.dumps(row).encode())) == {
        "eid": CAROL, "vid": BOB, "params": {"n": 1.5}
    }  # fmt: skip
    told = {"eid": CAROL, "vid": BOB, "users": [ANNA, CAROL]}
    assert json.loads(judge.line("mstore", json.dumps(told).encode()))["users"] == [CAROL]


@given(line=st.binary(max_size=60), table=st.sampled_from(["events", "nothing", "counters"]))
def test_a_line_that_is_no_row_is_left_alone(line: bytes, table: str) -> None:
    assert PersonJudge(USER).line(table, line) == line


def test_only_the_organisations_rows_are_meant() -> None:
    judge = PersonJudge(Person(visitors=frozenset({ANNA}), oid=OID))
    mine, other = (json.dumps({"vid": ANNA, "oid": oid}).encode() for oid in (OID, BOB))
    assert (judge.line("events", mine), judge.line("events", other)) == (GONE, other)
    assert judge.line("emails", mine) == mine


def test_tables_that_are_to_stay_do() -> None:
    line = json.dumps({"vid": ANNA}).encode()
    assert (
        PersonJudge(Person(visitors=frozenset({ANNA}), keep=frozenset({"agreed"}))).line("agreed", line)
        == line
    )


def test_a_quick_look_never_misses_what_would_be_changed() -> None:
    judge = PersonJudge(Person(visitors=frozenset({ANNA}), texts=frozenset({"a/ö"})))
    assert judge.may_concern(b'{"vid":"%s"}' % ANNA.encode())
    assert judge.may_concern(json.dumps({"id": "a/ö"}, ensure_ascii=False).encode())
    assert not judge.may_concern(b'{"vid":"%s"}' % BOB.encode())
    assert not PersonJudge(Person()).may_concern(b"anything")


def forgotten(person: Person, until: float = 100.0) -> Forgotten:
    made = Forgotten(b"key")
    made.add(made.marks_of(person, until))
    return made


def test_who_was_forgotten_is_withheld_until_the_time_is_over() -> None:
    who = forgotten(Person(visitors=frozenset({ANNA})))
    assert who.withholds({"vid": ANNA, "uid": BOB}, 99.0)
    assert not who.withholds({"vid": ANNA}, 100.0)
    assert not who.withholds({"vid": BOB}, 99.0)
    assert not who.withholds({}, 99.0)


def test_of_a_known_device_another_user_is_not_withheld() -> None:
    who = forgotten(USER)
    assert who.withholds({"vid": CAROL, "uid": ANNA}, 1.0)
    assert who.withholds({"vid": BOB}, 1.0)
    assert not who.withholds({"vid": BOB, "uid": CAROL}, 1.0)


def test_forgotten_by_one_organisation_is_not_forgotten_by_all() -> None:
    who = forgotten(Person(visitors=frozenset({ANNA}), oid=OID))
    assert who.withholds({"vid": ANNA, "oid": OID}, 1.0)
    assert not who.withholds({"vid": ANNA}, 1.0)


def test_marks_tell_nobody_who_it_is() -> None:
    marks = forgotten(USER).marks_of(USER, 1.0)
    assert {len(mark) for mark in marks} == {MARK_BYTES}
    assert marks.keys() != Forgotten(b"other").marks_of(USER, 1.0).keys()


def test_marks_are_bounded_and_those_that_end_first_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.persons.forgotten.MOST_MARKS", 1)
    who = forgotten(Person(visitors=frozenset({ANNA})), until=10.0)
    who.add(who.marks_of(Person(visitors=frozenset({BOB})), 20.0))
    assert (who.withholds({"vid": ANNA}, 1.0), who.withholds({"vid": BOB}, 1.0)) == (False, True)
