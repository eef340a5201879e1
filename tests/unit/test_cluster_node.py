"""The original image's environment variables mean what they meant, and contradictions are refused."""

# ruff: noqa: S314 (the files are ours)

import json
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cluster.description import Unusable
from cluster.node import node

THREE = {"NUM_NODES": "3", "SERVER_ID": "2"}


def places(environ: Mapping[str, str]) -> list[tuple[int, int, str]]:
    return [(each.shard, each.replica, each.host) for each in node(environ).plan.servers]


def test_without_anything_it_is_one_server_on_its_own() -> None:
    alone = node({})
    assert (alone.server.shard, alone.server.replica, alone.server.keeper_id) == (1, 1, None)
    assert alone.server.host == "127.0.0.1"


def test_nodes_are_replicas_of_one_shard() -> None:
    assert places(THREE) == [(1, 1, "v4-tracker-1"), (1, 2, "v4-tracker-2"), (1, 3, "v4-tracker-3")]
    second = node({**THREE, "SHARD": "1", "REPLICA": "2"})
    assert (second.server.shard, second.server.replica, second.server.keeper_id) == (1, 2, 2)


def test_an_empty_replica_means_a_shard_each() -> None:
    assert places({**THREE, "REPLICA": "", "SHARD": "2"}) == [
        (1, 1, "v4-tracker-1"), (2, 1, "v4-tracker-2"), (3, 1, "v4-tracker-3"),
    ]  # fmt: skip


def test_shards_with_replicas_are_a_number_of_shards() -> None:
    environ = {"NUM_NODES": "4", "SERVER_ID": "3", "CLUSTER_SHARDS": "2", "CONTAINER_NAME_PATTERN": "ch"}
    assert places(environ) == [(1, 1, "ch-1"), (1, 2, "ch-2"), (2, 1, "ch-3"), (2, 2, "ch-4")]


def test_the_folders_and_the_clusters_name_are_those_given(tmp_path: Path) -> None:
    environ = {
        **THREE, "CLUSTER_NAME": "mine", "CLICKHOUSE_DATA_DIR": "/d", "CLICKHOUSE_LOG_DIR": "/l",
        "LAYER": "7",
    }  # fmt: skip
    node(environ).write(tmp_path, "/app/data")
    config = ElementTree.parse(tmp_path / "config.xml")
    assert config.findtext("path") == "/d/"
    assert config.findtext("logger/log") == "/l/clickhouse-server.log"
    assert config.find("remote_servers/mine") is not None
    assert config.findtext("macros/layer") == "7"
    tracker = json.loads((tmp_path / "config.json").read_text())
    assert tracker["Notify"][0]["Hosts"] == ["127.0.0.1:8123", "v4-tracker-1:8123", "v4-tracker-3:8123"]
    assert tracker["Notify"][0]["Cluster"] == "mine"
    assert tracker["Spool"]["Path"] == "/app/data/spool"


def test_keepers_and_topology_may_be_given_in_full(tmp_path: Path) -> None:
    environ = {
        **THREE,
        "KEEPER_SERVERS": "1:k1:9444,2:k2:9445, 3:k3:9446",
        "CLUSTER_TOPOLOGY": "<shard><replica><host>a</host><port>9000</port></replica></shard><shard/>",
        "SHARD": "2",
        "REPLICA": "2",
    }
    node(environ).write(tmp_path, "/app/data")
    config = ElementTree.parse(tmp_path / "config.xml")
    assert [each.text for each in config.iterfind("zookeeper/node/host")] == ["k1", "k2", "k3"]
    assert [each.text for each in config.iterfind("keeper_server/raft_configuration/server/port")] == [
        "9444", "9445", "9446",
    ]  # fmt: skip
    assert config.findtext("remote_servers/tracker_cluster/shard/replica/host") == "a"
    assert len(config.findall("remote_servers/tracker_cluster/shard")) == 2
    assert config.find("remote_servers/tracker_cluster/secret") is not None
    assert (config.findtext("macros/shard"), config.findtext("macros/replica")) == ("2", "2")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        # What the original's examples show: replicas of one shard by topology, shards by macros.
        (
            {**THREE, "SHARD": "2", "REPLICA": "1"},
            "SHARD=2 REPLICA=1: node v4-tracker-2 is replica 2 of shard 1",
        ),
        ({**THREE, "SHARD": "1", "REPLICA": ""}, "is replica 1 of shard 2"),
        ({"SERVER_ID": "4", "NUM_NODES": "3"}, "SERVER_ID=4"),
        ({"NUM_NODES": "three"}, "NUM_NODES='three'"),
        ({"NUM_NODES": "3", "CLUSTER_SHARDS": "2"}, "CLUSTER_SHARDS=2"),
        ({**THREE, "KEEPER_SERVERS": "k1:9444"}, "KEEPER_SERVERS: 'k1:9444'"),
        ({**THREE, "CLUSTER_TOPOLOGY": "<shard>"}, "CLUSTER_TOPOLOGY"),
        ({"CLUSTER_NAME": "no good"}, "name: 'no good'"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_contradicts_itself_is_refused(environ: dict[str, str], said: str) -> None:
    with pytest.raises(Unusable) as refusal:
        node(environ)
    assert said in str(refusal.value)
