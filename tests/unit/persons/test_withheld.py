"""The pipeline while somebody was forgotten: of them nothing is stored but that something came."""

import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.unit.steps.build import NOW, Nowhere, hit
from tracker.events import Row
from tracker.metrics import Metrics
from tracker.persons.forgotten import Forgotten
from tracker.pipeline import Pipeline, PipelineSettings, Prepared
from tracker.steps import ids
from tracker.steps.protect import FORGOTTEN, KEEP
from tracker.tables.persons import Person

ANNA = Person(users=frozenset({ids.named("u-anna")}), known=frozenset({ids.named("anna")}))


@pytest.fixture
def pipeline() -> Pipeline:
    forgotten = Forgotten(b"key")
    made = Pipeline(Nowhere(), PipelineSettings(), Metrics(CollectorRegistry(), "test"), forgotten=forgotten)
    forgotten.add(forgotten.marks_of(ANNA, NOW + 60))
    return made


def stored(prepared: Prepared) -> list[str]:
    return [row.table for row in prepared.entry.rows]


def is_only_counted(rows: tuple[Row, ...]) -> bool:
    (row,) = rows
    said: dict[str, Any] = json.loads(row.line)
    return row.table == "counters" and said["id"] == "dropped_forgotten" and "vid" not in said


@pytest.mark.parametrize(
    "said", [{"vid": "anna"}, {"uid": "u-anna"}, {"vid": "anna", "uid": "u-anna"}], ids=str
)
def test_an_event_is_only_counted(pipeline: Pipeline, said: dict[str, str]) -> None:
    prepared = pipeline.prepare(hit({**said, "email": "a@b.c", "ename": "x", "tid": "t", "msg": "m"}))
    assert is_only_counted(prepared.entry.rows)
    assert prepared.decision is FORGOTTEN
    assert not prepared.identity.is_lasting


@pytest.mark.parametrize("said", [{"vid": "bob"}, {"vid": "anna", "uid": "u-bob"}, {}], ids=str)
def test_others_are_stored_as_ever(pipeline: Pipeline, said: dict[str, str]) -> None:
    prepared = pipeline.prepare(hit({**said, "ename": "x"}))
    assert "events" in stored(prepared)
    assert prepared.decision is KEEP


def test_an_agreement_is_only_counted(pipeline: Pipeline) -> None:
    assert is_only_counted(pipeline.prepare_agreement(hit({"vid": "anna", "cflags": 1}), "")[0].entry.rows)
    assert "agreed" in stored(pipeline.prepare_agreement(hit({"vid": "bob", "cflags": 1}), "")[0])


def test_a_payment_is_only_counted(pipeline: Pipeline) -> None:
    envelope = hit({}).envelope
    items = [{"vid": "anna", "amt": "1"}, {"vid": "bob", "amt": "1"}]
    sent = pipeline.payments_in(envelope, {"payments": items}, "")
    anna, bob = pipeline.prepare_payments(envelope, sent, {}, NOW)
    assert isinstance(anna, Prepared)
    assert isinstance(bob, Prepared)
    assert is_only_counted(anna.entry.rows)
    assert stored(bob) == ["payments"]
