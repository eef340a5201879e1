"""Where the servers of a ClickHouse entry are: hosts and ports over HTTP, also of an old configuration."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from tracker.config.services import Service

EMBEDDED = "embedded"
"""Stands in Hosts for the engine in this process; Context is then its folder."""
DATABASE = "sfpla"
"""The database when Context names none, and in the embedded engine's folder."""
NATIVE_PORTS = frozenset({9000, 9440})
"""Ports of ClickHouse's own protocol, which the original spoke."""
HTTP_PORT, HTTPS_PORT = 8123, 8443

_HOST = re.compile(r"(\[(?P<six>[0-9A-Fa-f:.%]+)\]|(?P<name>[A-Za-z0-9_.-]+))(:(?P<port>[0-9]{1,5}))?")


class Endpoint(NamedTuple):
    """One server."""

    host: str
    port: int
    given_port: int | None
    """As configured; another than `port` when that was one of the native protocol."""


def is_embedded(service: Service) -> bool:
    """The engine runs in this process."""
    return service.service == "clickhouse" and EMBEDDED in service.addresses


def is_tls(service: Service) -> bool:
    """The original's rule: Secure or CACert; Unencrypted beats both. Verified only with Secure."""
    return not service.unencrypted and (service.secure or service.ca_cert is not None)


def endpoints(service: Service) -> tuple[Endpoint, ...]:
    """The servers in order, without those that `misnamed` names."""
    return tuple(found for text in service.addresses or ("127.0.0.1",) if (found := _endpoint(text, service)))


def misnamed(service: Service) -> Iterator[str]:
    """Every address that is none."""
    return (text for text in service.addresses if text != EMBEDDED and _endpoint(text, service) is None)


def database(service: Service) -> str:
    """The database the tables are in."""
    return DATABASE if is_embedded(service) else service.context or DATABASE


def _endpoint(text: str, service: Service) -> Endpoint | None:
    match = _HOST.fullmatch(text)
    given = int(match["port"]) if match and match["port"] else None
    if match is None or (given is not None and not 0 < given < 65536):
        return None
    port = HTTPS_PORT if is_tls(service) else HTTP_PORT
    if given is not None and given not in NATIVE_PORTS:
        port = given
    return Endpoint(match["six"] or match["name"], port, given)
