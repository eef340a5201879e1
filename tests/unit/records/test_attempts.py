"""Wrong credentials are counted, and nobody is locked out for ever by others."""

from tracker.records.attempts import ACCOUNT, ADDRESS, PAIR, REMEMBERED_SECONDS, TRUSTED_PAIR, Attempts

HERE, ELSEWHERE = "203.0.113.1", "198.51.100.7"


def wrong(attempts: Attempts, times: int, uid: str = "a", address: str = HERE, now: float = 0.0) -> float:
    for _ in range(times):
        attempts.failed(uid, address, now)
    return attempts.wait(uid, address, now)


def test_some_mistakes_are_free_and_then_each_doubles_the_wait() -> None:
    attempts = Attempts()
    assert wrong(attempts, PAIR.free - 1) == 0
    assert [wrong(attempts, 1) for _ in range(4)] == [1, 2, 4, 8]
    assert wrong(attempts, 100) == PAIR.most_seconds
    assert attempts.wait("a", HERE, 100.0) == PAIR.most_seconds - 100


def test_who_waited_may_try_again_and_an_hour_without_failure_is_a_new_start() -> None:
    attempts = Attempts()
    wrong(attempts, PAIR.free)
    assert attempts.wait("a", HERE, 1.0) == 0
    wrong(attempts, 50)
    assert attempts.wait("a", HERE, REMEMBERED_SECONDS) == 0
    assert wrong(attempts, 1, now=REMEMBERED_SECONDS) == 0


def test_other_accounts_and_other_addresses_need_not_wait() -> None:
    attempts = Attempts()
    wrong(attempts, 20)
    assert attempts.wait("b", HERE, 0.0) == attempts.wait("a", ELSEWHERE, 0.0) == 0


def test_an_address_that_tries_many_accounts_must_wait() -> None:
    attempts = Attempts()
    for number in range(ADDRESS.free + 3):
        attempts.failed(f"uid {number}", HERE, 0.0)
    assert attempts.wait("another", HERE, 0.0) == 8
    assert attempts.wait("another", ELSEWHERE, 0.0) == 0


def test_an_account_that_is_tried_from_everywhere_is_closed_for_a_minute_at_most() -> None:
    attempts = Attempts()
    for number in range(ACCOUNT.free * 5):
        attempts.failed("a", f"192.0.2.{number % 250}", 0.0)
    assert attempts.wait("a", ELSEWHERE, 0.0) == ACCOUNT.most_seconds == 60


def test_where_the_right_password_came_from_others_cannot_lock_the_owner_out() -> None:
    attempts = Attempts()
    attempts.failed("a", ELSEWHERE, 0.0)
    attempts.succeeded("a", ELSEWHERE, 0.0)
    for number in range(1000):
        attempts.failed("a", f"192.0.2.{number % 250}", 10.0)
    for number in range(1000):
        attempts.failed(f"uid {number}", ELSEWHERE, 10.0)
    assert attempts.wait("a", ELSEWHERE, 10.0) == 0
    assert wrong(attempts, 100, address=ELSEWHERE, now=10.0) == TRUSTED_PAIR.most_seconds == 60


def test_the_right_password_takes_back_what_was_counted_for_it_and_no_more() -> None:
    attempts = Attempts()
    wrong(attempts, ADDRESS.free - 1, uid="b")
    for _ in range(10):
        attempts.failed("a", HERE, 0.0)
        attempts.succeeded("a", HERE, 0.0)
    assert attempts.wait("c", HERE, 0.0) == 0
    attempts.failed("c", HERE, 0.0)
    assert attempts.wait("c", HERE, 0.0) == 1


def test_addresses_of_one_ipv6_network_are_one() -> None:
    attempts = Attempts()
    for number in range(PAIR.free + 1):
        attempts.failed("a", f"2001:db8::{number:x}", 0.0)
    assert attempts.wait("a", "2001:db8::ffff", 0.0) == 2
    assert attempts.wait("a", "2001:db8:0:1::1", 0.0) == 0
    wrong(attempts, PAIR.free, uid="b", address=f"::ffff:{HERE}")
    assert attempts.wait("b", HERE, 0.0) == 1


def test_however_many_try_memory_is_bounded() -> None:
    attempts = Attempts()
    for number in range(15_000):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        attempts.failed(f"{number:032}", address, 0.0)
        attempts.succeeded(f"{number:032}", address, 0.0)
    assert len(attempts._failures) <= 20_000
    assert len(attempts._trusted) <= 20_000
