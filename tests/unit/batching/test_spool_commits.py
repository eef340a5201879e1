"""What a commit promises: durable, all or nothing, each client id once, within the limits."""

import stat
from pathlib import Path

import pytest

from tests.support.spools import NOW, check, client_id, deliver_all, entry, names, open_spool, seal
from tracker.batching.spool import Spool
from tracker.errors import CannotStore, TrackerError
from tracker.events import Entry, Row


def test_what_was_committed_is_there_after_opening_again(tmp_path: Path) -> None:
    with_rows = open_spool(tmp_path, "a")
    with_rows.commit([entry(1), entry(2)], NOW)
    with_rows.close()
    again = open_spool(tmp_path, "a")
    assert deliver_all(again) == ["1", "2"]
    check(again)
    again.close()


@pytest.mark.parametrize("durability", ["power-loss", "process-crash", "memory"])
def test_every_durability_keeps_rows_over_a_clean_stop(tmp_path: Path, durability: str) -> None:
    spool = open_spool(tmp_path, "a", durability=durability)
    spool.commit([entry(1)], NOW)
    spool.close()
    spool = open_spool(tmp_path, "a", durability=durability)
    assert deliver_all(spool) == ["1"]
    spool.close()


def test_rows_of_one_group_go_to_their_tables_in_order(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    both = Entry((Row("events", b'{"n":"1"}'), Row("hosts", b'{"n":"h"}')))
    stored = spool.commit([both, entry(2)], NOW)
    assert stored.rows == {"events": 2, "hosts": 1}
    assert deliver_all(spool) == ["1", "2"]
    assert deliver_all(spool, table="hosts") == ["h"]
    check(spool)
    spool.close()


def test_a_line_with_a_raw_newline_stays_one_row(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([Entry((Row("events", b'{"n":\n1}'),)), entry(2)], NOW)
    assert spool.load(seal(spool)).data == b'{"n": 1}\n{"n":"2"}\n'
    spool.close()


def test_a_client_id_counts_once_in_one_group_and_later_and_after_a_restart(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    first = spool.commit([entry("a", client_id=client_id(1)), entry("b", client_id=client_id(1))], NOW)
    later = spool.commit([entry("c", client_id=client_id(1)), entry("d", client_id=client_id(2))], NOW)
    spool.close()
    spool = open_spool(tmp_path, "a")
    restarted = spool.commit([entry("e", client_id=client_id(1)), entry("f", client_id=client_id(2))], NOW)
    assert (first.retries, later.retries, restarted.retries) == ((1,), (0,), (0, 1))
    assert deliver_all(spool) == ["a", "d"]
    spool.close()


def test_a_retry_is_dropped_with_all_its_rows(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    rows = (Row("events", b'{"n":"1"}'), Row("hosts", b'{"n":"h"}'))
    spool.commit([Entry(rows, client_id(1))], NOW)
    assert spool.commit([Entry(rows, client_id(1))], NOW).rows == {}
    assert [total.accepted for total in spool.totals()] == [1, 1]
    spool.close()


def test_beyond_the_number_remembered_an_id_is_new_again(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", remember_ids=3)
    spool.commit([entry(n, client_id=client_id(n)) for n in range(4)], NOW)
    again = spool.commit([entry(n, client_id=client_id(n)) for n in (0, 3)], NOW)
    assert again.retries == (1,)
    while spool.housekeep(NOW):
        pass
    spool.close()
    spool = open_spool(tmp_path, "a", remember_ids=3)
    assert spool.state().remembered_ids == 3
    assert spool.commit([entry(n, client_id=client_id(n)) for n in (0, 3)], NOW).retries == (0, 1)
    spool.close()


def test_beyond_the_age_remembered_an_id_is_new_again(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", remember_for_seconds=60.0)
    spool.commit([entry(1, client_id=client_id(1))], NOW)
    spool.commit([entry(2, client_id=client_id(2))], NOW + 50)
    while spool.housekeep(NOW + 70):
        pass
    again = spool.commit([entry(n, client_id=client_id(n)) for n in (1, 2)], NOW + 70)
    assert again.retries == (1,)
    spool.close()


def test_remembering_can_be_switched_off(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", remember_ids=0)
    for _ in range(2):
        assert spool.commit([entry(1, client_id=client_id(1))], NOW).retries == ()
    spool.close()


def test_a_spool_at_its_limit_refuses_until_rows_were_delivered(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", max_bytes=100)
    spool.commit([entry("x" * 60)], NOW)
    with pytest.raises(CannotStore, match="spool full"):
        spool.commit([entry("y" * 60)], NOW)
    assert deliver_all(spool) == ["x" * 60]
    while spool.housekeep(NOW):
        pass
    spool.commit([entry("y" * 60)], NOW)
    assert deliver_all(spool) == ["y" * 60]
    check(spool)
    spool.close()


def test_a_refused_group_leaves_no_ids_behind(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", max_bytes=50)
    with pytest.raises(CannotStore):
        spool.commit([entry("x" * 60, client_id=client_id(1))], NOW)
    assert spool.commit([entry(1, client_id=client_id(1))], NOW).retries == ()
    spool.close()


def test_sequence_numbers_go_on_when_every_chunk_is_gone(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry(1), entry(2)], NOW)
    deliver_all(spool)
    while spool.housekeep(NOW):
        pass
    assert spool.verify().chunks == 0
    spool.close()
    spool = open_spool(tmp_path, "a")
    spool.commit([entry(3)], NOW)
    assert seal(spool).first == 3
    check(spool)
    spool.close()


def test_a_large_group_becomes_chunks_of_bounded_size(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", chunk_bytes=100)
    spool.commit([entry(f"{n:03}") for n in range(50)], NOW)
    assert spool.verify().chunks > 5
    assert names(spool.load(seal(spool)).data) == [f"{n:03}" for n in range(50)]
    check(spool)
    spool.close()


def test_a_second_process_is_told_that_the_spool_is_taken(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    with pytest.raises(TrackerError, match=r"in use by another process.*Spool\.Path"):
        Spool.open(tmp_path)
    spool.close()
    open_spool(tmp_path).close()


def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "spool", "a")
    spool.commit([entry(1)], NOW)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "spool").iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    spool.close()


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.close()
    spool.close()


def test_the_log_starts_over_instead_of_growing(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", wal_limit_bytes=1024 * 1024)
    for _ in range(60):
        spool.commit([entry("x" * 1_000_000)], NOW)
        deliver_all(spool)
        while spool.housekeep(NOW):
            pass
    assert spool.state().wal_bytes < 30 * 1024 * 1024
    spool.close()
