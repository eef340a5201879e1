"""The files of a cluster fit together, whatever its architecture, and the real engine reads them."""

# ruff: noqa: S314 (the files are ours)

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from math import gcd
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.compose import compose_file
from cluster.description import Description, Unusable, described, read
from cluster.home import COMPOSE, NATIVE, Home, write_files
from cluster.plan import Plan, in_containers, on_loopback, on_machines, plan
from cluster.server_config import HASH, PASSWORD, SECRET, config_xml, in_container, users_xml
from tests.support.architectures import ARCHITECTURES, machines
from tests.support.server import ROOT
from tracker.config import load

GENERATED = ROOT / "cluster" / "generated"
HOSTINGS = {"containers": in_containers, "loopback": on_loopback, "machines": on_machines}


@pytest.fixture(params=[f"{name}, {hosting}" for name in ARCHITECTURES for hosting in HOSTINGS])
def planned(request: pytest.FixtureRequest) -> Plan:
    name, hosting = request.param.split(", ")
    return plan(ARCHITECTURES[name], HOSTINGS[hosting])


def configs(planned: Plan) -> dict[str, Element]:
    return {
        server.name: ElementTree.fromstring(config_xml(planned, server, in_container()))
        for server in planned.servers
    }


def replicas(config: Element) -> Iterator[tuple[int, int, str, int]]:
    for shard, each in enumerate(config.findall("remote_servers/tracker_cluster/shard"), 1):
        assert each.findtext("internal_replication") == "true"
        for replica, one in enumerate(each.findall("replica"), 1):
            yield shard, replica, one.findtext("host", ""), int(one.findtext("port", ""))


def whole(config: Element, path: str) -> int:
    return int(config.findtext(path, ""))


def test_each_replica_of_the_topology_is_a_server_whose_macros_say_so(planned: Plan) -> None:
    told = {
        (
            whole(config, "macros/shard"),
            whole(config, "macros/replica"),
            server.host,
            whole(config, "tcp_port"),
        )
        for server, config in zip(planned.servers, configs(planned).values(), strict=True)
    }
    for config in configs(planned).values():
        assert set(replicas(config)) == told
        assert len(list(replicas(config))) == len(planned.servers)


def test_the_replicas_of_a_shard_are_on_different_machines(planned: Plan) -> None:
    for shard in planned.shards:
        assert len({server.machine for server in shard}) == len(shard)


def test_no_two_servers_of_a_host_share_a_port(planned: Plan) -> None:
    used = Counter(
        (server.host, getattr(server.ports, name))
        for server in planned.servers
        for name in ("http", "native", "interserver", "keeper", "raft")
    )
    assert max(used.values()) == 1


def test_servers_that_would_share_a_port_of_a_host_are_refused() -> None:
    ten = Description(machines(10), shards=5, replicas=2)
    assert len(plan(ten, on_machines).servers) == 10
    with pytest.raises(
        Unusable, match=r"9009 on 127.0.0.1 .* interserver of v4-tracker-1 and native of v4-tr"
    ):
        plan(ten, on_loopback)


def test_the_keepers_are_three_on_three_machines_and_everyone_knows_them(planned: Plan) -> None:
    assert len({server.machine for server in planned.servers if server.keeper_id}) == 3
    by_id = {server.keeper_id: server for server in planned.servers if server.keeper_id}
    for name, config in configs(planned).items():
        asked = [(node.findtext("host"), node.findtext("port")) for node in config.iterfind("zookeeper/node")]
        assert asked == [(keeper.host, str(keeper.port)) for keeper in planned.keepers]
        own = config.findtext("keeper_server/server_id")
        assert (own is not None) == any(server.name == name for server in by_id.values())
        for each in config.iterfind("keeper_server/raft_configuration/server"):
            server = by_id[whole(each, "id")]
            assert each.findtext("hostname") == server.host
            assert whole(each, "port") == server.ports.raft


def test_the_hybrid_has_two_servers_of_neighbouring_shards_on_each_machine() -> None:
    held = {
        machine: {(each.shard, each.replica) for each in plan(ARCHITECTURES["hybrid"], on_machines).servers
                  if each.machine == machine}
        for machine in machines(3)
    }  # fmt: skip
    assert held == {
        "v4-tracker-1": {(1, 1), (2, 2)},
        "v4-tracker-2": {(1, 2), (3, 1)},
        "v4-tracker-3": {(2, 1), (3, 2)},
    }


@st.composite
def descriptions(draw: st.DrawFn) -> Description:
    """Any that can be: as many servers on each machine, and no more replicas than machines."""
    count = draw(st.integers(1, 9))
    copies = draw(st.integers(1, count))
    shards = draw(st.integers(1, 3)) * count // gcd(count, copies)
    return Description(machines(count), shards, copies)


@given(descriptions())
def test_whatever_can_be_described_is_spread_evenly(description: Description) -> None:
    shards, copies = description.shards, description.replicas
    planned = plan(description, in_containers)
    assert {(each.shard, each.replica) for each in planned.servers} == {
        (shard, replica) for shard in range(1, shards + 1) for replica in range(1, copies + 1)
    }
    assert len(set(Counter(server.machine for server in planned.servers).values())) == 1
    assert all(len({each.machine for each in shard}) == copies for shard in planned.shards)
    assert len(planned.keepers) % 2 == 1 or len(planned.servers) == 1


def test_a_server_on_its_own_needs_no_keeper_and_no_secret() -> None:
    alone = plan(Description(machines(1), 1, 1), on_loopback)
    text = config_xml(alone, alone.servers[0], in_container())
    assert not alone.keepers
    for name in ("zookeeper", "keeper_server", "remote_servers", SECRET):
        assert name not in text


def test_nobody_comes_without_a_password_from_the_environment() -> None:
    users = ElementTree.fromstring(users_xml(in_container())).findall("users/*")
    assert [user.tag for user in users] == ["tracker"]
    password = users[0].find("password_sha256_hex")
    assert password is not None
    assert password.attrib == {"from_env": HASH}
    assert not password.text


def test_the_files_that_are_kept_are_those_that_are_written(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cluster", "write", "--to", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    written = {file.relative_to(tmp_path): file.read_text() for file in tmp_path.rglob("*") if file.is_file()}
    kept = {file.relative_to(GENERATED): file.read_text() for file in GENERATED.rglob("*") if file.is_file()}
    assert written == kept, "run `python -m cluster write --to cluster/generated`"


def test_machines_of_ones_own_get_files_and_no_compose_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cluster", "write", "--machines-run-it", "--to", str(tmp_path)]
    subprocess.run([*command, "--shards", "3", "--replicas", "2"], cwd=ROOT, check=True)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        f"v4-tracker-{name}" for name in ("1", "1-2", "2", "2-2", "3", "3-2")
    ]
    one, two = (
        ElementTree.parse(tmp_path / name / "config.xml") for name in ("v4-tracker-1", "v4-tracker-1-2")
    )
    assert (two.findtext("tcp_port"), two.findtext("interserver_http_host")) == ("9001", "v4-tracker-1")
    assert (one.findtext("path"), two.findtext("path")) == ("/var/lib/clickhouse/", "/var/lib/clickhouse-2/")
    assert two.findtext("logger/log") == "/var/log/clickhouse-server-2/clickhouse-server.log"


def test_a_container_publishes_on_loopback_only_and_refuses_an_empty_password() -> None:
    text = compose_file(plan(read(), in_containers))
    published = [line.strip() for line in text.splitlines() if line.strip().startswith('- "127.0.0.1:')]
    assert published[:2] == ['- "127.0.0.1:8123:8123"', '- "127.0.0.1:9000:9000"']
    assert len(published) == 6
    assert '[ -n \\"$$CLICKHOUSE_PASSWORD\\" ]' in text


def test_the_compose_files_tracker_writes_to_the_servers_of_the_description() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    said = re.findall(r"^ +(TRACKER_\w+): '?([^'\n]+)", text, re.MULTILINE)
    notify = load(ROOT / "config.json", dict(said)).config.notify[0]
    planned = plan(read(), in_containers)
    assert (notify.service, notify.cluster, notify.username) == ("clickhouse", planned.name, "tracker")
    assert list(notify.hosts) == [f"{each.host}:{each.ports.http}" for each in planned.servers]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"shards": 0}, "at least 1"),
        ({"replicas": 4}, "need as many machines"),
        ({"shards": 2, "replicas": 2}, "evenly over 3"),
        ({"machines": ["a", "a", "b"]}, "its own name"),
        ({"machines": ["a", "b", "c d"]}, "no host name"),
        ({"name": "x'y"}, "letters, digits"),
        ({"shards": True}, "not of type int"),
        ({"shard": 1}, "shard: not a key"),
        ({"ports": {"htp": 1}}, "ports.htp: not a key"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_is_refused_by_name(changed: dict[str, object], said: str) -> None:
    usable = {"machines": ["a", "b", "c"], "shards": 1, "replicas": 3}
    described(usable)
    with pytest.raises(Unusable, match=said):
        described({**usable, **changed})


@pytest.mark.parametrize(("runner", "hosts"), [(COMPOSE, range(8123, 8126)), (NATIVE, range(8123, 8126))])
def test_a_home_keeps_its_secrets_to_itself_and_points_a_tracker_to_every_server(
    tmp_path: Path, runner: str, hosts: range
) -> None:
    home = Home(tmp_path / "home", read(), runner)
    home.write()
    before = home.environment
    home.write()
    assert home.environment == before
    assert len(set(before.values())) == 3
    for file in home.folder.rglob("*"):
        if file.is_file() and file.name not in (PASSWORD.lower(), SECRET.lower()):
            assert not any(secret in file.read_text() for secret in before.values()), file
    assert all((home.folder / name.lower()).stat().st_mode & 0o077 == 0 for name in (PASSWORD, SECRET))
    notify = json.loads(home.tracker_config.read_text())["Notify"][0]
    assert notify["Hosts"] == [f"127.0.0.1:{port}" for port in hosts]
    assert notify["Cluster"] == "tracker_cluster"


ASK = """
import sys, chdb
connection = chdb.connect(sys.argv[1])
for sql in sys.argv[2:]:
    print(connection.query(sql, "CSV").bytes().decode().strip())
"""


def engine(folder: Path, config: Path, *questions: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """The engine, started with that configuration in a process of its own, and its answers."""
    return subprocess.run(
        [sys.executable, "-c", ASK, f"{folder}?config-file={config}", *questions],
        env={**os.environ, **environ}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """The folder of the second server of three on loopback."""
    pytest.importorskip("chdb")
    home = Home(tmp_path / "home", read(), NATIVE)
    home.write()
    return home.folder / "v4-tracker-2"


def test_the_engine_reads_a_servers_files_and_has_no_default_user(second: Path) -> None:
    # The embedded engine comes in as `default`, always.
    told = engine(second / "data", second / "config.xml", "SELECT 1", **{HASH: "0" * 64, SECRET: "two"})
    assert "Code: 516" in told.stderr, told.stderr[-2000:]


def test_the_engine_does_not_start_without_the_password(second: Path) -> None:
    told = engine(second / "data", second / "config.xml", "SELECT 1", **{SECRET: "two"})
    assert told.returncode
    assert "Code: 516" not in told.stderr, told.stderr[-2000:]
    assert "SHA256" in told.stderr, told.stderr[-2000:]


def test_the_engine_knows_its_place_in_the_cluster(second: Path) -> None:
    users = second / "users.xml"
    text = users.read_text().replace("tracker>", "default>")
    users.write_text(text.replace(f'<password_sha256_hex from_env="{HASH}" />', "<no_password />"))
    told = engine(
        second / "data", second / "config.xml",
        "SELECT macro, substitution FROM system.macros ORDER BY macro",
        "SELECT shard_num, replica_num, host_name, port FROM system.clusters"
        " WHERE cluster = 'tracker_cluster'",
        "SELECT name FROM system.disks WHERE name = 'backups'",
        **{SECRET: "two"},
    )  # fmt: skip
    assert told.stdout.splitlines() == [
        '"cluster","tracker_cluster"', '"layer","1"', '"replica","2"', '"shard","1"',
        '1,1,"127.0.0.1",9000', '1,2,"127.0.0.1",9001', '1,3,"127.0.0.1",9002', '"backups"',
    ], told.stderr[-2000:]  # fmt: skip


def test_files_are_readable_for_a_containers_user_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_files(plan(read(), in_containers), tmp_path, lambda _: in_container())
    finally:
        os.umask(before)
    for file in (tmp_path / "v4-tracker-1").iterdir():
        assert file.stat().st_mode & 0o044 == 0o044
    assert (tmp_path / "v4-tracker-1").stat().st_mode & 0o055 == 0o055
