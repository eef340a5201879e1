"""What each part needs to know, taken from the configuration; the only translation between the two."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from functools import reduce
from operator import or_
from pathlib import Path

from tracker.batching.strategies import BatchSettings
from tracker.config import Config, Service, database, endpoints, is_embedded, is_named, is_tls
from tracker.parts import table_of
from tracker.pipeline import PipelineSettings
from tracker.sinks.registry import ASKERS, Server, SinkSettings
from tracker.steps.merge import CookieNames
from tracker.steps.protect import Guard, Rule
from tracker.steps.residency import Home, Residency
from tracker.web.settings import CookieSettings, WebLimits, WebSettings


def pipeline_settings(config: Config) -> PipelineSettings:
    """For the steps."""
    return PipelineSettings(
        use_remove_ip=config.use_remove_ip,
        prefix_private_hash=config.prefix_private_hash,
        url_filter=config.url_filter,
        url_filter_match_group=config.url_filter_match_group,
        max_depth=config.limits.max_depth,
        use_region_descriptions=config.use_region_descriptions,
    )


def address_databases(config: Config) -> tuple[Path, ...]:
    """The files in which the places of addresses are looked up."""
    return config.geoip_database if config.use_geoip else ()


def guard_of(config: Config) -> Guard | None:
    """Who decides what may be kept of whom; None when everything may."""
    privacy = config.privacy
    if privacy.gpc == privacy.dnt == "ignore" and not privacy.consent and not privacy.residency:
        return None
    rules = [
        Rule(rule.regions, rule.basis, _bits(privacy.purposes, rule.purposes), rule.otherwise)
        for rule in privacy.consent
    ]
    return Guard(privacy.gpc, privacy.dnt, tuple(rules))


def residency_of(config: Config) -> Residency | None:
    """Which stores may have what comes from where; None when all may have everything."""
    if not config.privacy.residency:
        return None
    return Residency(
        (rule.regions, Home(_named(config, rule.sinks), rule.otherwise)) for rule in config.privacy.residency
    )


def _named(config: Config, names: Collection[str]) -> frozenset[str]:
    """The stores that are written to, of these names or services."""
    return frozenset(sink.name for sink in config.sinks if sink.name in names or sink.service in names)


def _bits(purposes: Mapping[str, int], names: Sequence[str]) -> int:
    return reduce(or_, (purposes[name] for name in names), 0)


def web_settings(config: Config) -> WebSettings:
    """For the routes."""
    guard = guard_of(config)
    return WebSettings(
        api_version=config.api_version,
        allow_origin=config.allow_origin,
        ignore_query_key=config.ignore_query_params_key,
        cookies=_cookies(config),
        limits=_limits(config),
        trusted_proxies=config.trusted_proxies,
        metrics_from=config.admin.metrics_from,
        redirect_hosts=config.redirect_hosts,
        domains=config.domains,
        default_redirect=config.default_redirect,
        static_folder=config.static_directory,
        honours_gpc=guard is not None and guard.honours_gpc,
    )


def batch_settings(config: Config, table: str, sink: Service) -> BatchSettings:
    """For one table of one sink, or a part of it."""
    return BatchSettings(**asdict(config.batching_for(table_of(table), sink)))


def _cookies(config: Config) -> CookieSettings:
    cookies = config.cookies
    names = CookieNames(
        vid=cookies.visitor,
        sid=cookies.session,
        consent=cookies.consent,
        ehash=cookies.email_hash,
        ref=cookies.referral,
        xid=cookies.experiment,
    )
    return CookieSettings(names, cookies.same_site, cookies.days * 86_400, cookies.session_minutes * 60)


def _limits(config: Config) -> WebLimits:
    limits = config.limits
    return WebLimits(
        max_body_bytes=limits.max_body_bytes,
        max_inflated_bytes=limits.max_inflated_bytes,
        body_seconds=config.read_timeout_seconds,
        header_seconds=config.read_header_timeout_seconds,
        write_seconds=config.write_timeout_seconds,
        max_header_bytes=config.max_header_bytes,
        max_bodies_in_memory=limits.max_bodies_in_memory,
        max_open_connections=limits.max_open_connections,
        max_connections_per_address=limits.max_connections_per_address,
        max_events=limits.max_events,
        max_depth=limits.max_depth,
        max_message_bytes=limits.max_message_bytes,
        max_websockets=limits.max_websockets,
        websocket_idle_seconds=limits.websocket_idle_seconds,
        maximum_connections=config.maximum_connections,
    )


def sink_settings(config: Config, sink: Service) -> SinkSettings:
    """For one sink: its place, and folders of its own beside the spool."""
    number = config.sinks.index(sink)
    return SinkSettings(
        name=sink.name,
        service=sink.service,
        context=sink.context,
        handover=config.spool.path / "handover" / str(number),
        export=config.spool.path.parent / "export",
        server=_server(config, sink),
        durability=config.spool.durability,
        write_seconds=sink.write_timeout_seconds,
        ttl_seconds=sink.ttl,
    )


def asked_store(config: Config) -> Service | None:
    """The store that answers this program's own questions: the one `API` names, else the first that can."""
    stores = [sink for sink in config.sinks if sink.service in ASKERS]
    api = config.api
    if api is None or api.is_off:
        return next(iter(stores), None)
    return next(iter([*(store for store in stores if is_named(api, store)), *stores]), None)


def _server(config: Config, sink: Service) -> Server | None:
    if sink.service == "duckdb" or is_embedded(sink):
        return None
    found = Server(
        hosts=tuple((endpoint.host, endpoint.port) for endpoint in endpoints(sink)),
        database=database(sink),
        username=sink.username,
        password=sink.password,
        is_tls=is_tls(sink),
        is_verified=sink.secure,
        ca_cert=sink.ca_cert,
        cert=sink.cert,
        key=Path(sink.key_) if sink.key_ else None,
        cluster=sink.cluster,
        compression=sink.compression,
    )
    connections = sink.connections or config.max_connections
    connect_seconds = sink.timeout_seconds or config.connection_timeout_seconds
    return replace(
        found,
        connections=connections or found.connections,
        connect_seconds=connect_seconds or found.connect_seconds,
    )
