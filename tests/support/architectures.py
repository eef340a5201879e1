"""The architectures that docs/cluster.md explains, as descriptions."""

from dataclasses import replace

from cluster.description import Description
from cluster.plan import Plan, on_loopback, plan


def machines(count: int) -> tuple[str, ...]:
    """Their names."""
    return tuple(f"v4-tracker-{number}" for number in range(1, count + 1))


ARCHITECTURES = {
    "unreplicated": Description(machines(3), shards=3, replicas=1),
    "one shard with replicas": Description(machines(3), shards=1, replicas=3),
    "shards with replicas": Description(machines(4), shards=2, replicas=2),
    "hybrid": Description(machines(3), shards=3, replicas=2),
}


def shards_in_one(shards: int) -> Plan:
    """A cluster of which one server is every shard."""
    planned = plan(Description(machines(shards), shards, replicas=1), on_loopback)
    first = planned.servers[0]
    others = (replace(first, shard=number) for number in range(2, shards + 1))
    return replace(planned, servers=(first, *others))
