"""What each of ClickHouse's errors asks of delivery."""

import pytest

from tracker.sinks.clickhouse_engine import Complaint, Unreachable
from tracker.sinks.clickhouse_errors import (
    REACTIONS,
    Meaning,
    Undecided,
    is_away,
    is_never_begun,
    reaction,
    row_of,
    row_reason,
    unavailable,
)

PLACE = "host:8123"
VERSION = "(version 26.9.1.1 (official build))"
BAD_NUMBER = (
    "Code: 72. DB::Exception: Cannot parse number: 'secret@example.com': "
    "(while reading the value of key lat): (at row 58)\n"
    ': Buffer has gone, cannot extract information: {"lat":"secret@example.com"}. '
    f"(CANNOT_PARSE_NUMBER) {VERSION}"
)


def said(code: int, name: str, text: str = "it says so") -> Complaint:
    return Complaint(code, f"Code: {code}. DB::Exception: {text}. ({name}) {VERSION}")


@pytest.mark.parametrize(
    ("code", "name", "is_connection"),
    [
        (516, "AUTHENTICATION_FAILED", True),
        (192, "UNKNOWN_USER", True),
        (193, "WRONG_PASSWORD", True),
        (497, "ACCESS_DENIED", True),
        (164, "READONLY", True),
        (81, "UNKNOWN_DATABASE", True),
        (210, "NETWORK_ERROR", True),
        (209, "SOCKET_TIMEOUT", True),
        (159, "TIMEOUT_EXCEEDED", True),
        (236, "ABORTED", True),
        (394, "QUERY_WAS_CANCELLED", True),
        (999, "KEEPER_EXCEPTION", True),
        (243, "NOT_ENOUGH_SPACE", True),
        (285, "TOO_FEW_LIVE_REPLICAS", True),
        (319, "UNKNOWN_STATUS_OF_INSERT", True),
        (202, "TOO_MANY_SIMULTANEOUS_QUERIES", False),
        (241, "MEMORY_LIMIT_EXCEEDED", False),
        (252, "TOO_MANY_PARTS", False),
        (242, "TABLE_IS_READ_ONLY", False),
    ],
)
def test_what_passes_is_waited_for(code: int, name: str, is_connection: bool) -> None:
    error = unavailable(said(code, name), PLACE)
    assert error.is_connection is is_connection
    assert PLACE in error.reason
    assert name in error.reason


@pytest.mark.parametrize("code", [202, 241, 252])
def test_a_store_without_room_names_a_time(code: int) -> None:
    error = unavailable(said(code, "X"), PLACE)
    assert error.retry_after_seconds is not None
    assert error.retry_after_seconds >= 1


@pytest.mark.parametrize("code", [6, 26, 27, 32, 33, 38, 41, 53, 69, 72, 117, 130, 131, 376])
def test_what_cannot_be_read_is_about_rows(code: int) -> None:
    found = reaction(said(code, "X"))
    assert found is not None
    assert found.meaning is Meaning.ROWS


def test_every_code_has_one_meaning_and_a_reason() -> None:
    assert all(found.why for found in REACTIONS.values())
    assert 0 not in REACTIONS


def test_a_code_that_nobody_has_decided_on_is_a_bug_of_ours_and_names_itself() -> None:
    with pytest.raises(Undecided, match=r"LOGICAL_ERROR \(code 49\)"):
        unavailable(said(49, "LOGICAL_ERROR", "secret"), PLACE)


def test_a_code_that_nobody_has_decided_on_is_about_rows_when_it_names_one() -> None:
    found = reaction(said(9_999, "NEW_ERROR", "no: (at row 3)"))
    assert found is not None
    assert found.meaning is Meaning.ROWS


def test_an_answer_without_a_code_may_have_taken_effect() -> None:
    complaint = Complaint(None, "cut off")
    assert unavailable(complaint, PLACE).is_connection
    assert not is_never_begun(complaint)


def test_the_row_is_counted_from_zero() -> None:
    assert row_of(Complaint(72, BAD_NUMBER)) == 57
    assert row_of(said(241, "MEMORY_LIMIT_EXCEEDED")) is None


def test_the_reason_of_a_row_names_the_column_and_none_of_its_values() -> None:
    reason = row_reason(Complaint(72, BAD_NUMBER))
    assert "lat" in reason
    assert "secret" not in reason


def test_who_is_not_let_in_has_begun_nothing_and_who_was_stopped_may_have() -> None:
    assert is_never_begun(said(516, "AUTHENTICATION_FAILED"))
    assert not is_never_begun(said(394, "QUERY_WAS_CANCELLED"))
    assert is_never_begun(Unreachable("refused", is_unknown=False))
    assert not is_never_begun(Unreachable("no answer", is_unknown=True))


def test_a_store_that_is_full_is_not_away() -> None:
    assert is_away(Unreachable("refused", is_unknown=False))
    assert is_away(said(236, "ABORTED"))
    assert not is_away(said(252, "TOO_MANY_PARTS"))
    assert not is_away(said(72, "CANNOT_PARSE_NUMBER"))


def test_the_server_s_own_words_are_cut() -> None:
    error = unavailable(said(241, "MEMORY_LIMIT_EXCEEDED", "x" * 5000 + "\nrow"), PLACE)
    assert len(error.reason) < 300
    assert "row" not in error.reason
