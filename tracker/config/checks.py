"""What must hold between keys that are each right by themselves."""

from collections.abc import Iterator, Mapping
from typing import Any

from tracker.config.batching import TABLES
from tracker.config.keys import Place
from tracker.config.model import Config
from tracker.config.problems import unknown_table

Problem = tuple[Place, str]


def contradictions(config: Config) -> Iterator[Problem]:
    """Every place at which the configuration contradicts itself, and what is wrong there."""
    yield from _listeners(config)
    yield from _patterns(config)
    yield from _addresses(config)
    yield from _sinks(config)
    yield from _cookies(config)


def _listeners(config: Config) -> Iterator[Problem]:
    if config.listen is None:
        yield (
            ("ProxyExceptHTTP",),
            'empty, and there is no other listener yet; expected one such as "127.0.0.1:8880"',
        )
    if config.workers > 1 and any(sink.service == "duckdb" for sink in config.sinks):
        yield ("Workers",), f"got {config.workers}, expected 1: DuckDB has one writing process"


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
        if service.service == "duckdb" and not is_a_path(service.context):
            yield ("Notify", index, "Context"), "expected the path of a file, which outlives the process"
        first = names.setdefault(service.name, index)
        if first != index:
            yield ("Notify", index, "Name"), f"is the name of Notify[{first}] too; expected one of its own"
        elif service.service == "duckdb" and files.setdefault(service.context, index) != index:
            yield ("Notify", index, "Context"), f"is the file of Notify[{files[service.context]}] too"


def is_a_path(context: str) -> bool:
    """DuckDB's `Context` names a file, neither an address nor its word for memory."""
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
