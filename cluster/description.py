"""What a person says about a cluster, in `cluster.toml` or otherwise, and whether it can be."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("cluster.toml")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


class Unusable(Exception):
    """Nothing can be made of what was said; the text names the key, the value and the remedy."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Of one server."""

    http: int = 8123
    native: int = 9000
    interserver: int = 9009
    keeper: int = 2181
    raft: int = 9444

    def moved(self, by: int) -> "Ports":
        """Those of the server that is `by` places further on the same host."""
        return Ports(*(getattr(self, each.name) + by for each in fields(self)))


@dataclass(frozen=True, slots=True)
class Description:
    """A cluster in a few words. Raises Unusable when no cluster can be like that."""

    machines: tuple[str, ...]
    shards: int
    replicas: int
    name: str = "tracker_cluster"
    layer: int = 1
    ports: Ports = Ports()

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise Unusable(problem)

    def shaped(self, shards: int | None, replicas: int | None, machines: int | None) -> "Description":
        """The same with another architecture; None keeps what is."""
        names = self.machines if machines is None else _names(self.machines, machines)
        return replace(
            self,
            machines=names,
            shards=self.shards if shards is None else shards,
            replicas=self.replicas if replicas is None else replicas,
        )

    def _problems(self) -> "list[str]":
        count, servers = len(self.machines), self.shards * self.replicas
        found = []
        if not _NAME.fullmatch(self.name):
            found.append(f"name: {self.name!r} is not letters, digits and _")
        found += [
            f"machines: {host!r} is no host name" for host in self.machines if not _HOST.fullmatch(host)
        ]
        if len(set(self.machines)) < count or not self.machines:
            found.append("machines: at least one, each of its own name")
        if self.shards < 1 or self.replicas < 1:
            found.append("shards, replicas: at least 1")
        elif self.replicas > count:
            found.append(
                f"replicas: {self.replicas} copies of a shard need as many machines, there are {count}"
            )
        elif count and servers % count:
            found.append(
                f"shards x replicas = {servers} servers cannot be spread evenly over {count} machines"
            )
        return found


def read(path: Path = FILE) -> Description:
    """The description in a TOML file. Raises Unusable."""
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Unusable(f"{path}: {error}") from error
    return described(said)


def described(said: Mapping[str, Any]) -> Description:
    """The description that these keys make. Raises Unusable, also for a key that nobody knows."""
    known: dict[str, type] = {
        "name": str, "layer": int, "shards": int, "replicas": int, "machines": list, "ports": dict,
    }  # fmt: skip
    _check(said, known)
    ports = said.get("ports", {})
    _check(ports, {each.name: int for each in fields(Ports)}, "ports.")
    for name in ("machines", "shards", "replicas"):
        if name not in said:
            raise Unusable(f"{name}: missing")
    values = {name: value for name, value in said.items() if name not in ("machines", "ports")}
    return Description(machines=tuple(map(str, said["machines"])), ports=Ports(**ports), **values)


def _check(said: Mapping[str, Any], known: Mapping[str, type], place: str = "") -> None:
    for name, value in said.items():
        if name not in known:
            raise Unusable(f"{place}{name}: not a key; there are {', '.join(known)}")
        if not isinstance(value, known[name]) or isinstance(value, bool):
            raise Unusable(f"{place}{name}: {value!r} is not of type {known[name].__name__}")


def _names(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    pattern = names[0].rstrip("0123456789")
    return tuple(f"{pattern}{number}" for number in range(1, count + 1))
