"""The folder a cluster lives in: description, secrets, configuration files, the tracker's configuration."""

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster.compose import compose_file
from cluster.description import Description, Unusable, described
from cluster.plan import Plan, in_containers, plan
from cluster.plan import on_loopback as hosts_on_loopback
from cluster.server_config import (
    HASH,
    PASSWORD,
    SECRET,
    USER,
    Folders,
    config_xml,
    in_container,
    on_loopback,
    users_xml,
)

COMPOSE, NATIVE = "compose", "native"
STATE = "cluster.json"

FoldersOf = Callable[[str], Folders]
"""Server -> where it keeps its things."""


@dataclass(frozen=True, slots=True)
class Home:
    """One cluster's folder and what was decided when it was made."""

    folder: Path
    description: Description
    runner: str
    """COMPOSE or NATIVE."""

    @property
    def plan(self) -> Plan:
        """Where everything runs."""
        return plan(self.description, in_containers if self.runner == COMPOSE else hosts_on_loopback)

    @property
    def http_ports(self) -> Mapping[str, int]:
        """Server -> the port on this machine's loopback where it answers HTTP."""
        shift = self.runner == COMPOSE
        return {
            server.name: server.ports.http + (number if shift else 0)
            for number, server in enumerate(self.plan.servers)
        }

    @property
    def environment(self) -> Mapping[str, str]:
        """What the servers need to know and no file of theirs says."""
        said = {name: (self.folder / name.lower()).read_text(encoding="utf-8") for name in (PASSWORD, SECRET)}
        return {**said, HASH: hashlib.sha256(said[PASSWORD].encode()).hexdigest()}

    @property
    def password_file(self) -> Path:
        """Holds the password of the user `tracker`."""
        return self.folder / PASSWORD.lower()

    @property
    def tracker_config(self) -> Path:
        """A configuration with which a tracker writes to this cluster."""
        return self.folder / "config.json"

    def write(self) -> None:
        """Lay everything down; secrets that are there stay."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (PASSWORD, SECRET):
            _keep_secret(self.folder / name.lower())
        write_files(self.plan, self.folder, self._folders)
        if self.runner == COMPOSE:
            write_compose(self.plan, self.folder)
        self.tracker_config.write_text(tracker_config(self.plan, self.tracker_hosts), encoding="utf-8")
        said = {**asdict(self.description), "runner": self.runner}
        (self.folder / STATE).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")

    def remove(self) -> None:
        """Take away everything that `write` laid down."""
        for name in self.http_ports:
            shutil.rmtree(self.folder / name)
        for file in (self.tracker_config, *(self.folder / name.lower() for name in (PASSWORD, SECRET))):
            file.unlink(missing_ok=True)
        for name in ("compose.yml", STATE):
            (self.folder / name).unlink(missing_ok=True)

    @property
    def tracker_hosts(self) -> list[str]:
        """Where a tracker finds them, host:port."""
        return [f"127.0.0.1:{port}" for port in self.http_ports.values()]

    def _folders(self, name: str) -> Folders:
        neighbours = len(self.plan.servers) - 1
        if self.runner == COMPOSE:
            return in_container(neighbours=neighbours)
        return on_loopback(str(self.folder.resolve() / name), neighbours)


def opened(folder: Path) -> Home | None:
    """The cluster that lives there; None when none does. Raises Unusable."""
    try:
        said = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Unusable(f"{folder / STATE}: {error}") from error
    runner = said.pop("runner")
    return Home(folder, described(said), runner)


def write_files(plan: Plan, folder: Path, folders: FoldersOf) -> None:
    """The servers' files; no secrets, so that a container's user can read them."""
    for server in plan.servers:
        place = folder / server.name
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o755)
        _lay(place / "config.xml", config_xml(plan, server, folders(server.name)))
        _lay(place / "users.xml", users_xml(folders(server.name)))


def write_compose(plan: Plan, folder: Path) -> None:
    """The Compose file that runs these servers, beside their files."""
    folder.mkdir(parents=True, exist_ok=True)
    _lay(folder / "compose.yml", compose_file(plan))


def _lay(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    file.chmod(0o644)


def tracker_config(plan: Plan, hosts: list[str], data: str = ".") -> str:
    """config.json of a tracker that writes there, without the password."""
    is_cluster = len(plan.servers) > 1
    notify = {
        "Service": "clickhouse",
        "Hosts": hosts,
        "Username": USER,
        **({"Cluster": plan.name} if is_cluster else {}),
    }
    config = {
        "ProxyExceptHTTP": "127.0.0.1:8880",
        "Notify": [notify],
        "Spool": {"Path": f"{data}/spool"},
        "Admin": {"Socket": f"{data}/tracker.sock"},
    }
    return json.dumps(config, indent=2) + "\n"


def _keep_secret(file: Path) -> None:
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24), encoding="utf-8")
