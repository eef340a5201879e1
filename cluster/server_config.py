"""The two configuration files of one server, `config.xml` and `users.xml`, not laid upon a package's own.

Passwords are never in them: the server reads them from its environment. A variable that is missing counts as
empty there; an empty hash keeps the server from starting, where an empty password would let everybody in.
There is no user `default`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from cluster.plan import Plan, Server

USER = "tracker"
PASSWORD, SECRET = "CLICKHOUSE_PASSWORD", "CLICKHOUSE_CLUSTER_SECRET"
"""Environment variables: of the user, and of the servers among themselves."""
HASH = "CLICKHOUSE_PASSWORD_SHA256"
"""The variable the server reads: SHA-256 of the user's password, in hexadecimal."""
DATA, LOG = "/var/lib/clickhouse", "/var/log/clickhouse-server"
"""Where ClickHouse's own packages and images have a server's data and log."""
REPLICA_PATH = "/clickhouse/tables/{layer}-{shard}/{database}/{table}"
DDL_PATH = "/clickhouse/task_queue/ddl"

Tree = Mapping[str, object]
"""Element -> text, children, or several elements of that name; `@x` is the attribute x."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a server keeps its things, and from where it may be reached."""

    data: str
    log: str
    listen: tuple[str, ...]
    networks: tuple[str, ...]
    """From where the user may come."""
    is_console: bool = False
    """It logs to standard output as well."""
    neighbours: int = 0
    """How many other servers share this machine's memory."""


def in_container(data: str = DATA, log: str = LOG, neighbours: int = 0) -> Folders:
    """Of a server in a container; the container's network decides who can come."""
    return Folders(data, log, ("0.0.0.0",), ("0.0.0.0/0", "::/0"), is_console=True, neighbours=neighbours)  # noqa: S104


def on_machine(server: Server, neighbours: int) -> Folders:
    """Of a server on a machine of its own, or beside others, whose folders have their number."""
    number = server.name.removeprefix(server.machine)
    return in_container(DATA + number, LOG + number, neighbours)


def on_loopback(folder: str, neighbours: int = 0) -> Folders:
    """Of a server that nobody outside this machine reaches."""
    return Folders(
        f"{folder}/data", f"{folder}/log", ("127.0.0.1",), ("127.0.0.1", "::1"), neighbours=neighbours
    )


def config_xml(plan: Plan, server: Server, folders: Folders, topology: Sequence[Element] = ()) -> str:
    """`config.xml`; `topology` are the shards where a person wrote them instead of the plan."""
    tree = _alone(server, folders)
    if len(plan.servers) > 1:
        tree |= _together(plan, server, is_planned=not topology)
    if server.keeper_id is not None:
        tree["keeper_server"] = _keeper(plan, server, folders)
    root = _element("clickhouse", tree)
    for cluster in root.iterfind(f"remote_servers/{plan.name}"):
        cluster.extend(topology)
    return _text(root)


def users_xml(folders: Folders) -> str:
    """`users.xml`: one user with a password, from the networks that may come."""
    networks: list[str] = list(folders.networks)
    return _text(
        _element(
            "clickhouse",
            {
                "profiles": {"default": {}},
                "quotas": {"default": {}},
                "users": {
                    USER: {
                        "password_sha256_hex": {"@from_env": HASH},
                        "networks": {"ip": [{"": network} for network in networks]},
                        "profile": "default",
                        "quota": "default",
                        "access_management": 1,
                    }
                },
            },
        )
    )


def _alone(server: Server, folders: Folders) -> dict[str, object]:
    data = folders.data
    return {
        "logger": {
            "level": "information",
            "log": f"{folders.log}/clickhouse-server.log",
            "errorlog": f"{folders.log}/clickhouse-server.err.log",
            "size": "100M",
            "count": 3,
            "console": int(folders.is_console),
        },
        "listen_host": [{"": host} for host in folders.listen],
        "http_port": server.ports.http,
        "tcp_port": server.ports.native,
        "path": f"{data}/",
        "tmp_path": f"{data}/tmp/",  # noqa: S108 (below the server's own folder)
        "user_files_path": f"{data}/user_files/",
        "format_schema_path": f"{data}/format_schemas/",
        "user_directories": {
            "users_xml": {"path": "users.xml"}, "local_directory": {"path": f"{data}/access/"},
        },
        "default_profile": "default",
        "default_database": "default",
        "storage_configuration": {"disks": {"backups": {"type": "local", "path": f"{data}/backups/"}}},
        "max_server_memory_usage_to_ram_ratio": f"{0.8 / (1 + folders.neighbours):.2f}",
        "backups": {"allowed_disk": "backups", "allowed_path": f"{data}/backups/"},
    }  # fmt: skip


def _together(plan: Plan, server: Server, *, is_planned: bool) -> dict[str, object]:
    """What a server needs to know of the others."""
    shards = [_shard(replicas) for replicas in plan.shards] if is_planned else []
    return {
        "macros": {
            "cluster": plan.name, "layer": plan.layer, "shard": server.shard, "replica": server.replica,
        },
        "default_replica_path": REPLICA_PATH,
        "default_replica_name": "{replica}",
        "remote_servers": {plan.name: {"secret": {"@from_env": SECRET}, "shard": shards}},
        "zookeeper": {"node": [{"host": each.host, "port": each.port} for each in plan.keepers]},
        "distributed_ddl": {"path": DDL_PATH},
        "interserver_http_port": server.ports.interserver,
        "interserver_http_host": server.host,
        "interserver_http_credentials": {"user": "replica", "password": {"@from_env": SECRET}},
    }  # fmt: skip


def _shard(replicas: tuple[Server, ...]) -> Tree:
    # The replicas pass a row on among themselves; a Distributed table writes it to one of them.
    each = [{"host": server.host, "port": server.ports.native} for server in replicas]
    return {"internal_replication": "true", "replica": [*each]}


def _keeper(plan: Plan, server: Server, folders: Folders) -> Tree:
    raft = [{"id": each.id, "hostname": each.host, "port": each.raft_port} for each in plan.keepers]
    return {
        "tcp_port": server.ports.keeper,
        "server_id": server.keeper_id or 0,
        "log_storage_path": f"{folders.data}/coordination/log",
        "snapshot_storage_path": f"{folders.data}/coordination/snapshots",
        "coordination_settings": {
            "operation_timeout_ms": 10_000, "session_timeout_ms": 30_000, "raft_logs_level": "information",
        },
        "raft_configuration": {"server": [*raft]},
    }  # fmt: skip


def _text(root: Element) -> str:
    ElementTree.indent(root, "    ")
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _element(name: str, value: object) -> Element:
    element = Element(name)
    if isinstance(value, Mapping):
        for key, child in value.items():
            _add(element, key, child)
    else:
        element.text = str(value)
    return element


def _add(element: Element, key: str, child: object) -> None:
    if key.startswith("@"):
        element.set(key[1:], str(child))
    elif not key:
        element.text = str(child)
    else:
        element.extend(_elements(key, child))


def _elements(key: str, child: object) -> Iterator[Element]:
    for each in child if isinstance(child, list) else [child]:
        yield _element(key, each)
