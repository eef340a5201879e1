"""What must hold between keys that are each right by themselves."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tracker.config import pruning
from tracker.config.batching import TABLES
from tracker.config.clickhouse import EMBEDDED, database, is_embedded, misnamed
from tracker.config.keys import Place
from tracker.config.model import Config
from tracker.config.problems import unknown_table

Problem = tuple[Place, str]

LEAST_KEY = 16
"""Characters of a key of hashes."""
_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def contradictions(config: Config) -> Iterator[Problem]:
    """Every place at which the configuration contradicts itself, and what is wrong there."""
    yield from _listeners(config)
    yield from _patterns(config)
    yield from _addresses(config)
    yield from _sinks(config)
    yield from _clickhouse(config)
    yield from _cookies(config)
    yield from _privacy(config)


def _listeners(config: Config) -> Iterator[Problem]:
    if config.listen is None:
        yield (
            ("ProxyExceptHTTP",),
            'empty, and there is no other listener yet; expected one such as "127.0.0.1:8880"',
        )
    if config.workers > 1 and any(sink.service == "duckdb" for sink in config.sinks):
        yield ("Workers",), f"got {config.workers}, expected 1: DuckDB has one writing process"
    if config.workers > 1 and any(is_embedded(sink) for sink in config.sinks):
        yield ("Workers",), f"got {config.workers}, expected 1: embedded ClickHouse has one writing process"


def _patterns(config: Config) -> Iterator[Problem]:
    groups = config.url_filter.groups if config.url_filter else 0
    if config.url_filter and config.url_filter_match_group > groups:
        yield (
            ("UrlFilterMatchGroup",),
            f"got {config.url_filter_match_group}, expected at most {groups}, the groups of UrlFilter",
        )


def unknown_tables(tree: Mapping[str, Any]) -> Iterator[Problem]:
    """Every name in `Batching` that is no table's; asked of the raw values, whatever else is wrong."""
    batching = tree.get("Batching")
    for table in batching if isinstance(batching, dict) else ():
        if table not in TABLES:
            yield ("Batching", table), unknown_table(table)


def _addresses(config: Config) -> Iterator[Problem]:
    for key, services in (("Notify", config.notify), ("Consume", config.consume)):
        for index, service in enumerate(services):
            if (
                service.hosts
                and (service.host or service.port)
                and service.hosts != _one(service.host, service.port)
            ):
                yield (key, index, "Hosts"), "Hosts and Host or Port are given, and say different things"


def _one(host: str, port: int | None) -> tuple[str, ...]:
    return (f"{host or '127.0.0.1'}:{port}",) if port else (host,)


def _sinks(config: Config) -> Iterator[Problem]:
    names: dict[str, int] = {}
    files: dict[str, int] = {}
    for index, service in enumerate(config.notify):
        if not service.is_available:
            continue
        yield from pruning.of_service(service, ("Notify", index))
        if service.service == "duckdb" and not is_a_path(service.context):
            yield ("Notify", index, "Context"), "expected the path of a file, which outlives the process"
        first = names.setdefault(service.name, index)
        if first != index:
            yield ("Notify", index, "Name"), f"is the name of Notify[{first}] too; expected one of its own"
        elif service.service == "duckdb" and files.setdefault(service.context, index) != index:
            yield ("Notify", index, "Context"), f"is the file of Notify[{files[service.context]}] too"


def _clickhouse(config: Config) -> Iterator[Problem]:
    embedded: int | None = None
    for index, service in enumerate(config.notify):
        if service.is_off or service.service != "clickhouse":
            continue
        place: Place = ("Notify", index)
        for text in misnamed(service):
            yield (*place, "Hosts"), f"{text!a} is no host:port"
        if service.cert and not service.key_:
            yield (*place, "Key"), "missing: the key of the certificate in Cert"
        if not is_embedded(service):
            if not _DATABASE.fullmatch(database(service)):
                yield (*place, "Context"), "expected the name of a database: letters, digits and _"
            if not _DATABASE.fullmatch(service.cluster or "_"):
                yield (*place, "Cluster"), "expected the name of a cluster: letters, digits and _"
            continue
        if service.addresses != (EMBEDDED,):
            yield (*place, "Hosts"), f'"{EMBEDDED}" stands alone: the engine in this process is the only host'
        if service.cluster:
            yield (*place, "Cluster"), "the embedded engine is no part of a cluster"
        if not is_a_path(service.context):
            yield (*place, "Context"), "expected the path of a folder, which outlives the process"
        if embedded is not None:
            yield place, f"is embedded as Notify[{embedded}] is: a process has one such engine"
        embedded = index


def is_a_path(context: str) -> bool:
    """`Context` of an embedded store is a file or folder, neither an address nor DuckDB's word for memory."""
    return "://" not in context and not context.startswith((":memory:", "md:"))


def _cookies(config: Config) -> Iterator[Problem]:
    cookies = config.cookies
    given = (
        cookies.visitor,
        cookies.session,
        cookies.consent,
        cookies.email_hash,
        cookies.referral,
        cookies.experiment,
    )
    for name in sorted({name for name in given if given.count(name) > 1}):
        yield ("Cookies",), f'"{name}" is the name of several cookies; expected each to have its own'


def _privacy(config: Config) -> Iterator[Problem]:
    privacy = config.privacy
    if 0 < len(privacy.ip_hash_key) < LEAST_KEY:
        yield (
            ("Privacy", "IPHashKey"),
            f"expected at least {LEAST_KEY} characters: a short key can be guessed",
        )
    for index, rule in enumerate(privacy.consent):
        for name in rule.purposes:
            if name not in privacy.purposes:
                yield ("Privacy", "Consent", index, "Purposes"), f"{name!a} is not in Privacy.Purposes"
    known = {name for one in config.notify for name in (one.name, one.service.removesuffix("_"))}
    for index, home in enumerate(privacy.residency):
        for name in home.sinks:
            if name not in known:
                yield ("Privacy", "Residency", index, "Sinks"), f"{name!a} is no store in Notify"
    yield from _twice("Consent", [rule.regions for rule in privacy.consent])
    yield from _twice("Residency", [rule.regions for rule in privacy.residency])


def _twice(key: str, places: Sequence[Sequence[str]]) -> Iterator[Problem]:
    """Every place for which two rules of a kind stand."""
    held: dict[str, int] = {}
    for index, regions in enumerate(places):
        for region in regions:
            if held.setdefault(region, index) != index:
                yield (
                    ("Privacy", key, index, "Regions"),
                    f"{region!a} is in Privacy.{key}[{held[region]}] too",
                )
