"""The trial of a cluster sees what is lost, doubled or foreign, and passes one that keeps everything."""

from collections import Counter
from collections.abc import Callable

import pytest

from cluster.asking import NoAnswer
from cluster.trial import Load, judge, verdict

Fault = Callable[["Cluster", list[str]], None]


class Cluster:
    """Servers in memory and the collector before them; whoever is gone catches up when it is back."""

    names = ("one", "two", "three")

    def __init__(self, fault: Fault | None = None, copies: int = 3) -> None:
        self.copies = copies
        self.rows: list[str] = []
        self.waiting: list[str] = []
        self.gone: set[str] = set()
        self.history: list[str] = []
        self._fault = fault

    def send(self, event: str, ids: list[str]) -> bool:
        waits = self.gone and self.copies < 3
        (self.waiting if waits else self.rows).extend(ids)
        if self._fault is not None and self.gone:
            self._fault(self, ids)
        return True

    def ids(self, name: str, event: str) -> Counter[str]:
        if name in self.gone:
            raise NoAnswer(f"{name} is gone")
        self.history.append(f"asked {name}")
        return Counter(self.rows)

    def stop(self, name: str) -> None:
        self.history.append(f"stopped {name}")
        self.gone.add(name)

    def start(self, name: str) -> None:
        self.history.append(f"started {name}")
        self.gone.remove(name)
        self.rows += self.waiting


def lose(cluster: Cluster, ids: list[str]) -> None:
    cluster.rows.remove(ids[0])


def double(cluster: Cluster, ids: list[str]) -> None:
    cluster.rows.append(ids[0])


def invent(cluster: Cluster, ids: list[str]) -> None:
    cluster.rows.append(ids[0][::-1])


def trial(cluster: Cluster) -> int:
    return judge(cluster, Load(cluster, "event"), load_seconds=0.05, arrive_seconds=0)


def test_a_cluster_that_keeps_everything_passes() -> None:
    cluster = Cluster()
    assert trial(cluster) == 0
    told = [line for line in cluster.history if not line.startswith("asked")]
    assert told == ["stopped one", "started one"]
    before, after = cluster.history.index("stopped one"), cluster.history.index("started one")
    assert {"asked one", "asked two", "asked three"} <= set(cluster.history[:before])
    assert {"asked two", "asked three"} == set(cluster.history[before + 1 : after])
    assert {"asked one", "asked two", "asked three"} == set(cluster.history[after + 1 :])


@pytest.mark.parametrize(
    ("fault", "said"), [(lose, "lost, 0 doubled"), (double, "0 lost, "), (invent, "never sent")]
)
def test_a_cluster_that_errs_while_a_server_is_gone_fails(
    fault: Fault, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trial(Cluster(fault)) == 1
    printed = capsys.readouterr().out
    assert "WRONG" in printed
    assert said in printed


def test_an_unreplicated_cluster_is_asked_again_only_when_all_are_back() -> None:
    cluster = Cluster(copies=1)
    assert trial(cluster) == 0
    before, after = cluster.history.index("stopped one"), cluster.history.index("started one")
    assert after == before + 1


def test_of_two_copies_one_still_has_what_was_there_and_the_rest_comes_when_all_are_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster = Cluster(copies=2)
    assert trial(cluster) == 0
    before, after = cluster.history.index("stopped one"), cluster.history.index("started one")
    assert {"asked two", "asked three"} == set(cluster.history[before + 1 : after])
    assert "one still gone: two has all 50 once" in capsys.readouterr().out


def test_of_two_copies_the_one_that_is_left_may_lack_nothing_that_was_there() -> None:
    def lose_the_first(cluster: Cluster, ids: list[str]) -> None:
        cluster.rows[:1] = []

    assert trial(Cluster(lose_the_first, copies=2)) == 1


def test_a_server_that_does_not_answer_fails_the_trial(capsys: pytest.CaptureFixture[str]) -> None:
    cluster = Cluster()
    cluster.gone.add("three")
    assert trial(cluster) == 1
    assert "WRONG: three is gone" in capsys.readouterr().out


def test_what_was_sent_and_not_acknowledged_may_be_there() -> None:
    load = Load(Cluster(), "event", acknowledged=["a"], sent={"a", "b"})
    assert verdict(load, Counter({"a": 1, "b": 1})) is None
    assert verdict(load, Counter({"b": 1})) == "1 lost, 0 doubled, 0 never sent, of 1"
