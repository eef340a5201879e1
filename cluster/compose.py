"""The Compose file of a cluster: a container for each server, from ClickHouse's own image."""

import json
from collections.abc import Iterator, Mapping

from cluster.description import Ports
from cluster.plan import Plan, Server
from cluster.server_config import HASH, PASSWORD, SECRET, USER

IMAGE = "clickhouse/clickhouse-server:${CLICKHOUSE_VERSION:-26.9}"
"""The version that the tests' engine has."""
CONFIG_FOLDER = "/etc/clickhouse-tracker"
NETWORK = "tracker-net"


def compose_file(plan: Plan) -> str:
    """`compose.yml`; beside it lies a folder for each server. Ports are published on loopback only."""
    services = {
        server.name: _service(server, server.ports.moved(number))
        for number, server in enumerate(plan.servers)
    }
    tree: Mapping[str, object] = {
        "services": services,
        "networks": {NETWORK: {}},
        "volumes": {server.name: {} for server in plan.servers},
    }
    return "# Written by `python -m cluster write`.\n" + "\n".join(_lines(tree)) + "\n"


def _service(server: Server, outside: Ports) -> Mapping[str, object]:
    inside = server.ports
    return {
        "image": IMAGE,
        "hostname": server.name,
        "user": "101:101",
        "entrypoint": ["sh", "-c", _command()],
        "environment": [PASSWORD, SECRET],
        "volumes": [f"./{server.name}:{CONFIG_FOLDER}:ro", f"{server.name}:/var/lib/clickhouse"],
        "ports": [
            f"127.0.0.1:{outside.http}:{inside.http}", f"127.0.0.1:{outside.native}:{inside.native}",
        ],
        "networks": [NETWORK],
        "healthcheck": {
            "test": ["CMD", "clickhouse", "client", "--user", USER, "--query", "SELECT 1"],
            "interval": "5s",
            "timeout": "5s",
            "retries": 24,
        },
        "restart": "unless-stopped",
        "stop_grace_period": "60s",
    }  # fmt: skip


def _command() -> str:
    """Starts the server, but never with an empty password: an empty variable would be one."""
    given = " && ".join(f'[ -n "$${name}" ]' for name in (PASSWORD, SECRET))
    return (
        f"{given} || {{ echo '{PASSWORD} and {SECRET} must be set' >&2; exit 78; }}; "
        f'export {HASH}="$$(printf %s "$${PASSWORD}" | sha256sum | cut -c 1-64)"; '
        f"exec clickhouse server --config-file={CONFIG_FOLDER}/config.xml"
    )


def _lines(node: object, indent: str = "") -> Iterator[str]:
    """YAML with every text in double quotes, which YAML reads as JSON does."""
    assert isinstance(node, Mapping)  # noqa: S101 (for the type checker)
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list):
            yield f"{indent}{key}:"
            yield from (f"{indent}  - {json.dumps(each)}" for each in value)
        else:
            yield f"{indent}{key}: {json.dumps(value)}"
