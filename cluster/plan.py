"""Which server is where: a description becomes servers, each with its shard, replica, host and ports.

Pure. A shard's replicas are on neighbouring machines, in a circle, so that no machine has two of them.
A machine with several servers (hybrid) runs a process for each, with ports of its own: macros, replica
paths and Distributed tables then mean the same everywhere and one schema serves every architecture. The other
way, one process with a database for each of its shards and `default_database` in `remote_servers`, needs
two sets of macros and a second form of the schema.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

from cluster.description import Description, Ports, Unusable

Hosting = Callable[[str, int], str]
"""Machine and place on it -> host under which that server is found."""


@dataclass(frozen=True, slots=True)
class Server:
    """One ClickHouse process."""

    name: str
    machine: str
    host: str
    shard: int
    replica: int
    ports: Ports
    keeper_id: int | None
    """Its number among the Keepers; None when it runs none."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """One of those who agree on what is replicated; it runs inside a server."""

    id: int
    host: str
    port: int
    raft_port: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All servers of a cluster, in the order in which a tracker should try them."""

    name: str
    layer: int
    servers: tuple[Server, ...]
    keepers: tuple[Keeper, ...]

    @property
    def shards(self) -> tuple[tuple[Server, ...], ...]:
        """The replicas of each shard, in order of shard and replica."""
        ordered = sorted(self.servers, key=lambda server: (server.shard, server.replica))
        numbers = sorted({server.shard for server in ordered})
        return tuple(tuple(each for each in ordered if each.shard == number) for number in numbers)


def in_containers(machine: str, place: int) -> str:
    """Each server is a container, and so a host, of its own."""
    return machine if place == 0 else f"{machine}-{place + 1}"


def on_loopback(_machine: str, _place: int) -> str:
    """All servers are on this machine."""
    return "127.0.0.1"


def on_machines(machine: str, _place: int) -> str:
    """The machines are as named."""
    return machine


def plan(described: Description, hosting: Hosting) -> Plan:
    """Where everything runs. Raises Unusable when servers of one host would need the same port."""
    machines = described.machines
    layout: list[list[tuple[int, int]]] = [[] for _ in machines]
    for number in range(described.shards * described.replicas):
        shard, replica = divmod(number, described.replicas)
        layout[number % len(machines)].append((replica + 1, shard + 1))
    keepers = _keeper_count(described.shards * described.replicas, len(machines))
    servers: list[Server] = []
    for index, machine in enumerate(machines):
        for place, (replica, shard) in enumerate(sorted(layout[index])):
            host = hosting(machine, place)
            shift = sum(server.host == host for server in servers)
            keeper = index + 1 if place == 0 and index < keepers else None
            name, ports = in_containers(machine, place), described.ports.moved(shift)
            servers.append(Server(name, machine, host, shard, replica, ports, keeper))
    _refuse_shared_ports(servers)
    return Plan(described.name, described.layer, tuple(servers), _keepers(servers))


def _refuse_shared_ports(servers: list[Server]) -> None:
    used: dict[tuple[str, int], str] = {}
    for server in servers:
        for each in fields(Ports):
            port: int = getattr(server.ports, each.name)
            other = used.setdefault((server.host, port), f"{each.name} of {server.name}")
            if other != f"{each.name} of {server.name}":
                raise Unusable(
                    f"ports: {port} on {server.host} would be {other} and {each.name} of {server.name}; "
                    "put the numbers in the description further apart"
                )


def _keepers(servers: list[Server]) -> tuple[Keeper, ...]:
    return tuple(
        Keeper(server.keeper_id, server.host, server.ports.keeper, server.ports.raft)
        for server in servers
        if server.keeper_id is not None
    )


def _keeper_count(servers: int, machines: int) -> int:
    """An odd number, since two of two are needed as well as two of three; none for a server on its own."""
    if servers == 1:
        return 0
    return 1 if machines < 3 else 3
