"""Which server a batch goes to, against a clock of the test's own."""

from hypothesis import given
from hypothesis import strategies as st

from tracker.sinks.clickhouse_hosts import REST_SECONDS, Hosts

THREE = Hosts(3)


def test_servers_are_tried_in_the_configured_order() -> None:
    assert THREE.order(0.0) == (0, 1, 2)


def test_a_server_that_failed_comes_last_until_it_has_rested() -> None:
    hosts = THREE.failed(0, now=100.0)
    assert hosts.order(100.0) == (1, 2, 0)
    assert hosts.order(100.0 + REST_SECONDS) == (0, 1, 2)


def test_of_servers_that_rest_the_one_that_failed_first_is_tried_first() -> None:
    hosts = THREE.failed(1, now=1.0).failed(0, now=2.0).failed(2, now=3.0)
    assert hosts.order(4.0) == (1, 0, 2)


def test_a_server_that_answers_has_its_place_again() -> None:
    assert THREE.failed(0, now=1.0).answered(0).order(1.0) == (0, 1, 2)


def test_a_server_that_failed_is_doubtful_until_it_answers_unless_it_is_the_only_one() -> None:
    assert THREE.failed(1, now=1.0).is_doubtful(1)
    assert not THREE.failed(1, now=1.0).answered(1).is_doubtful(1)
    assert not Hosts(1).failed(0, now=1.0).is_doubtful(0)


def test_a_batch_that_was_sent_stays_with_its_server_until_it_is_settled() -> None:
    hosts = THREE.sent("events", "b1", 2)
    assert hosts.home("events", "b1") == 2
    assert hosts.home("events", "b2") is None
    assert hosts.home("logs", "b1") is None
    assert hosts.settled("events").home("events", "b1") is None


def test_a_replica_has_what_the_others_have_so_a_batch_stays_nowhere() -> None:
    hosts = Hosts(3, are_replicas=True).sent("events", "b1", 2)
    assert hosts.home("events", "b1") is None
    assert not hosts.may_be_anywhere("events", "b1", is_repeat=True)


def test_a_repeat_that_nobody_remembers_may_be_on_any_of_several_servers() -> None:
    assert THREE.may_be_anywhere("events", "b1", is_repeat=True)
    assert not THREE.may_be_anywhere("events", "b1", is_repeat=False)
    assert not THREE.sent("events", "b1", 0).may_be_anywhere("events", "b1", is_repeat=True)
    assert not Hosts(1).may_be_anywhere("events", "b1", is_repeat=True)


def test_a_batch_that_nobody_took_may_go_anywhere_and_need_not_be_looked_for() -> None:
    hosts = THREE.nowhere("events", "b1")
    assert hosts.home("events", "b1") is None
    assert not hosts.may_be_anywhere("events", "b1", is_repeat=True)
    assert hosts.may_be_anywhere("events", "b2", is_repeat=True)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("failed"), st.integers(0, 2)),
        st.tuples(st.just("answered"), st.integers(0, 2)),
        st.tuples(st.just("sent"), st.integers(0, 2)),
        st.tuples(st.just("settled"), st.just(0)),
    )
)


@given(STEPS)
def test_every_server_is_tried_once_whatever_happened(steps: list[tuple[str, int]]) -> None:
    hosts = THREE
    for now, (step, host) in enumerate(steps):
        if step == "failed":
            hosts = hosts.failed(host, float(now))
        elif step == "answered":
            hosts = hosts.answered(host)
        elif step == "sent":
            hosts = hosts.sent("events", f"b{now}", host)
        else:
            hosts = hosts.settled("events")
        assert sorted(hosts.order(float(now))) == [0, 1, 2]
        assert len(hosts.homes) <= 1
