"""The form of log lines, and that repeats are counted instead of written."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tracker.logs import JsonFormatter, SamplingHandler, configure

log = logging.getLogger("tracker.test")


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)


class Lines:
    """A sampling handler on a stream of its own, under a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stream = io.StringIO()
        self.handler = SamplingHandler(self.stream, clock=lambda: self.now)
        self.handler.setFormatter(JsonFormatter())

    def emit(self, level: int, msg: str, **fields: Any) -> None:
        values = {"name": "tracker.test", "levelno": level, "levelname": logging.getLevelName(level)}
        self.handler.emit(logging.makeLogRecord({**values, "msg": msg, "fields": fields}))

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


def written(format_: Any, *, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure(level, format_, stream)
    return stream


@pytest.mark.usefixtures("restored")
def test_a_line_is_one_json_object_with_the_fields_of_the_happening() -> None:
    stream = written("json")
    log.info("sink opened", extra={"fields": {"sink": "duckdb", "seconds": 0.5}})
    line = json.loads(stream.getvalue())
    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "info", "logger": "tracker.test", "msg": "sink opened", "sink": "duckdb", "seconds": 0.5,
    }  # fmt: skip


@pytest.mark.usefixtures("restored")
def test_a_traceback_is_one_field_of_one_line() -> None:
    stream = written("json")
    try:
        float("gone")
    except ValueError:
        log.exception("write failed")
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: could not" in json.loads(line)["traceback"]


@pytest.mark.usefixtures("restored")
def test_a_field_cannot_hide_the_message() -> None:
    stream = written("json")
    log.info("stopped", extra={"fields": {"msg": "other", "what": object}})
    line = json.loads(stream.getvalue())
    assert (line["msg"], line["field_msg"], line["what"]) == ("stopped", "other", "<class 'object'>")


@pytest.mark.usefixtures("restored")
def test_text_is_for_people() -> None:
    stream = written("text")
    log.warning("spool is nearly full", extra={"fields": {"share": 0.9}})
    assert stream.getvalue().endswith(" WARNING tracker.test: spool is nearly full share=0.9\n")


@pytest.mark.usefixtures("restored")
def test_what_lies_below_the_level_is_not_written() -> None:
    stream = written("json", level="warning")
    log.info("nothing")
    assert stream.getvalue() == ""


@pytest.mark.usefixtures("restored")
def test_configuring_again_replaces_the_handler() -> None:
    first = written("json")
    second = written("json")
    log.info("once")
    assert (first.getvalue(), len(second.getvalue().splitlines())) == ("", 1)


def test_identical_errors_are_written_once_and_then_counted_every_ten_seconds() -> None:
    lines = Lines()
    for second in range(25):
        lines.now = float(second)
        lines.emit(logging.ERROR, "write failed", sink="duckdb", attempt=second)
    told = lines.told()
    assert [line.get("repeated") for line in told] == [None, 9, 10]
    assert [line["sink"] for line in told] == ["duckdb"] * 3


def test_the_same_error_of_another_sink_is_another_happening() -> None:
    lines = Lines()
    lines.emit(logging.ERROR, "write failed", sink="duckdb")
    lines.emit(logging.ERROR, "write failed", sink="clickhouse")
    assert [line["sink"] for line in lines.told()] == ["duckdb", "clickhouse"]


def test_an_owed_count_is_written_before_the_next_line_of_any_kind() -> None:
    lines = Lines()
    lines.emit(logging.ERROR, "write failed")
    lines.emit(logging.ERROR, "write failed")
    lines.now = 11.0
    lines.emit(logging.INFO, "sink opened")
    assert [(line["msg"], line.get("repeated")) for line in lines.told()] == [
        ("write failed", None),
        ("write failed", 1),
        ("sink opened", None),
    ]


def test_a_count_that_is_owed_is_written_at_close() -> None:
    lines = Lines()
    lines.emit(logging.WARNING, "retrying")
    lines.emit(logging.WARNING, "retrying")
    lines.handler.close()
    assert [line.get("repeated") for line in lines.told()] == [None, 1]


def test_an_error_that_comes_seldom_is_written_each_time() -> None:
    lines = Lines()
    for second in (0.0, 20.0, 40.0):
        lines.now = second
        lines.emit(logging.ERROR, "write failed")
    assert [line.get("repeated") for line in lines.told()] == [None, None, None]


def test_informational_lines_are_never_counted_away() -> None:
    lines = Lines()
    lines.emit(logging.INFO, "sink opened")
    lines.emit(logging.INFO, "sink opened")
    assert len(lines.told()) == 2
