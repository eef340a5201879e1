"""The files of the one server in this container, from the original image's environment variables.

SERVER_ID of NUM_NODES nodes that are called CONTAINER_NAME_PATTERN-1, -2, …; REPLICA empty: a shard each;
else all are replicas of one shard, or of CLUSTER_SHARDS. KEEPER_SERVERS and CLUSTER_TOPOLOGY
stand for what would follow from these.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from cluster.description import Description, Ports, Unusable
from cluster.home import tracker_config
from cluster.plan import Keeper, Plan, Server, on_machines, plan
from cluster.server_config import DATA, LOG, Folders, config_xml, in_container, users_xml


@dataclass(frozen=True, slots=True)
class Node:
    """The server of this container and what surrounds it."""

    plan: Plan
    server: Server
    folders: Folders
    topology: Sequence[Element]

    def write(self, folder: Path, data: str) -> None:
        """config.xml and users.xml for the server, config.json for the tracker beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        config = config_xml(self.plan, self.server, self.folders, self.topology)
        (folder / "config.xml").write_text(config, encoding="utf-8")
        (folder / "users.xml").write_text(users_xml(self.folders), encoding="utf-8")
        others = [f"{each.host}:{each.ports.http}" for each in self.plan.servers if each != self.server]
        hosts = [f"127.0.0.1:{self.server.ports.http}", *others]
        (folder / "config.json").write_text(tracker_config(self.plan, hosts, data), encoding="utf-8")


def node(environ: Mapping[str, str]) -> Node:
    """What this environment says. Raises Unusable, naming the variable."""
    number, nodes = _whole(environ, "SERVER_ID"), _whole(environ, "NUM_NODES")
    if number > nodes:
        raise Unusable(f"SERVER_ID={number}: there are NUM_NODES={nodes}")
    planned = plan(_described(environ, nodes), on_machines)
    topology = _topology(environ.get("CLUSTER_TOPOLOGY", ""))
    server = _here(environ, planned.servers[number - 1], is_free=bool(topology))
    folders = in_container(
        environ.get("CLICKHOUSE_DATA_DIR") or DATA, environ.get("CLICKHOUSE_LOG_DIR") or LOG
    )
    keepers = _keepers(environ.get("KEEPER_SERVERS", "")) or planned.keepers
    keeper_id = number if number in {keeper.id for keeper in keepers} else None
    return Node(replace(planned, keepers=keepers), replace(server, keeper_id=keeper_id), folders, topology)


def _described(environ: Mapping[str, str], nodes: int) -> Description:
    pattern = environ.get("CONTAINER_NAME_PATTERN") or "v4-tracker"
    hosts = ("127.0.0.1",) if nodes == 1 else tuple(f"{pattern}-{each}" for each in range(1, nodes + 1))
    shards = nodes if environ.get("REPLICA") == "" else _whole(environ, "CLUSTER_SHARDS")
    if nodes % shards:
        raise Unusable(f"CLUSTER_SHARDS={shards}: NUM_NODES={nodes} cannot be divided by it")
    name = environ.get("CLUSTER_NAME") or "tracker_cluster"
    ports = Ports(http=_whole(environ, "CLICKHOUSE_HTTP_PORT", Ports().http, most=65535))
    return Description(hosts, shards, nodes // shards, name, _whole(environ, "LAYER"), ports)


def _here(environ: Mapping[str, str], planned: Server, *, is_free: bool) -> Server:
    """The server with the macros that SHARD and REPLICA say, which must be those of its place.

    Nodes whose macros contradict the topology would replicate nothing, without a word.
    """
    shard = _whole(environ, "SHARD", planned.shard)
    replica = _whole(environ, "REPLICA", planned.replica)
    if not is_free and (shard, replica) != (planned.shard, planned.replica):
        raise Unusable(
            f"SHARD={shard} REPLICA={replica}: node {planned.machine} is replica {planned.replica} of shard "
            f"{planned.shard} in this topology; leave both out, or REPLICA empty for a shard each"
        )
    return replace(planned, shard=shard, replica=replica)


def _keepers(text: str) -> tuple[Keeper, ...]:
    """`1:host:9444,2:host:9444` as the original wrote it."""
    found = []
    for each in re.split(r"[,\s]+", text.strip()):
        if not each:
            continue
        match = re.fullmatch(r"(\d+):([\w.-]+):(\d+)", each)
        if match is None:
            raise Unusable(f"KEEPER_SERVERS: {each!r} is not number:host:port")
        found.append(Keeper(int(match[1]), match[2], 2181, int(match[3])))
    return tuple(found)


def _topology(text: str) -> Sequence[Element]:
    """The `<shard>` elements that stand for the planned ones."""
    try:
        return list(ElementTree.fromstring(f"<shards>{text}</shards>"))  # noqa: S314 (one's own environment)
    except ElementTree.ParseError as error:
        raise Unusable(f"CLUSTER_TOPOLOGY: {error}") from error


def _whole(environ: Mapping[str, str], name: str, default: int = 1, most: int = 1000) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= most:
        raise Unusable(f"{name}={text!r} is no whole number from 1 to {most}")
    return int(text)
