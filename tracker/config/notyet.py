"""Keys that are known but have no effect yet, and the warnings that say so. Later work removes lines here."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tracker.config.batching import DEFAULT
from tracker.config.clickhouse import endpoints, is_embedded, is_tls
from tracker.config.keys import Place
from tracker.config.model import Config
from tracker.config.services import Service
from tracker.config.sources import Sources
from tracker.tables import CATALOGUE

_TLS = "HTTPS will be served by this server itself; until then put a proxy in front"
_API = "/api/ will be passed on to another server"
_EXPORT = "DuckDB's tables will be exported to S3"
_FACEBOOK = "events will be sent to Facebook"
_RUN_TIME = "nothing: the original made it at run time"

NOT_YET: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("UseLocalTLS", "TLSCert", "TLSKey", "ProxyPort", "ProxyPortTLS"), _TLS),
        **dict.fromkeys(("ProxyPortRedirect", "IgnoreInsecureTLS", "LetsEncryptDomains"), _TLS),
        "Workers": "several processes will share the port",
        "AccountHashMixer": "the account of an event will be checked",
        "Consume": "queues will be read",
        **dict.fromkeys(("ProxyUrl", "ProxyUrlFilter", "IgnoreProxyOptions", "ProxyForceJson"), _API),
        **dict.fromkeys(("ProxyDailyLimit", "RateLimitPerDay", "ProxyDailyLimitChecker"), _API),
        "SchemaVersion": "Cassandra will be written to",
        **dict.fromkeys(("CFlagsMarketing", "CFlagsIgnore"), _FACEBOOK),
        **dict.fromkeys(("S3Bucket", "S3Prefix", "S3Region", "S3AccessKeyID", "S3SecretAccessKey"), _EXPORT),
        **dict.fromkeys(("HealthCheckInterval", "InactivityTimeoutSeconds", "MaxShardSizeBytes"), _EXPORT),
        **dict.fromkeys(("IsUrlFiltered", "ConfigFile", "NodeId", "ProxyDailyLimitCheck"), _RUN_TIME),
    }
)
"""Key, by the name in the file, to what it will do later."""
REPLACED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("IPv4GeoIPZip", "IPv6GeoIPZip"), "name the unpacked BIN or mmdb in GeoIPDatabase"),
        **dict.fromkeys(("IPv4GeoIPCSVDest", "IPv6GeoIPCSVDest"), "GeoIPDatabase names the file"),
        "GeoIPVersion": "GeoIPDatabase is read anew when its file changes",
        "TempDirectory": "nothing is unpacked",
    }
)
"""Key of the original that will never have an effect here, to what is done instead."""

_HARMLESS: Mapping[str, Any] = MappingProxyType(
    {
        "Workers": 1,
        "GeoIPVersion": 1,
        "SchemaVersion": 3,
        "CFlagsMarketing": 4096,
    }
)
"""Values that ask for nothing that does not happen; elsewhere these are false, 0 and empty."""

_OF_DUCKDB = frozenset(
    {"Service", "Name", "Context", "Skip", "Critical", "Note", "BatchingEnabled", "MaxBatchSize", "Prune"}
    | {"MaxBatchTime", "MaxMemoryMB", "BatchFlushInterval"}
)
"""Keys of a DuckDB entry that have an effect, or need none."""
_OF_CLICKHOUSE = _OF_DUCKDB | {
    *("Hosts", "Host", "Port", "Cluster", "TTL", "Compression", "EnableCompression", "Connections"),
    *("Username", "Password", "CACert", "Cert", "Key", "Secure", "Unencrypted", "Timeout", "WriteTimeout"),
}
"""The same of ClickHouse. It is always compressed, so EnableCompression asks for nothing."""
_EFFECTIVE = MappingProxyType({"duckdb": _OF_DUCKDB, "clickhouse": _OF_CLICKHOUSE})

NOT_WRITTEN_YET = frozenset({"instant", "jurisdictions"})
"""Tables whose routes are not there yet. What else is no table of the catalogue is a view."""


def warnings_of(
    config: Config, tree: Mapping[str, Any], sources: Sources, environ: Mapping[str, str]
) -> list[str]:
    """One line for everything that was asked for and does not happen yet."""
    return [
        *_of_keys(tree, sources),
        *_of_services(config, tree, sources),
        *_of_tables(config, sources),
        *_of_pruning(config, sources),
        *_of_facebook(environ),
        *_of_asking(config, sources),
        *_of_nothing(config, sources),
    ]


def _of_keys(tree: Mapping[str, Any], sources: Sources) -> Iterator[str]:
    for name, value in tree.items():
        written = str(sources.as_written((name,))[0])
        later = NOT_YET.get(written, NOT_YET.get(name))
        if later is not None and _asks(name, value):
            yield sources.say((name,), f"has no effect yet; later {later}")
        if name in REPLACED and _asks(name, value):
            yield sources.say((name,), f"has no effect: {REPLACED[name]}")


def _asks(name: str, value: Any) -> bool:
    return bool(value != _HARMLESS[name] if name in _HARMLESS else value)


def _of_services(config: Config, tree: Mapping[str, Any], sources: Sources) -> Iterator[str]:
    for index, service in enumerate(config.notify):
        place: Place = ("Notify", index)
        if service.is_available:
            yield from _without_effect(service.service, tree["Notify"][index], place, sources)
            yield from _native_ports(service, place, sources)
        elif not service.is_off:
            yield sources.say(place, f"{service.service} cannot be written to yet: nothing goes there")


def _without_effect(service: str, entry: Mapping[str, Any], place: Place, sources: Sources) -> Iterator[str]:
    for name, value in entry.items():
        if name not in _EFFECTIVE[service] and value:
            yield sources.say((*place, name), f"has no effect for {service}")


def _native_ports(service: Service, place: Place, sources: Sources) -> Iterator[str]:
    if service.service != "clickhouse" or is_embedded(service):
        return
    for endpoint in endpoints(service):
        if endpoint.given_port not in (None, endpoint.port):
            yield sources.say(
                (*place, "Hosts" if service.hosts else "Port"),
                f"{endpoint.given_port} is the native protocol's port; {endpoint.host}:{endpoint.port} over"
                f" {'HTTPS' if is_tls(service) else 'HTTP'} is used",
            )


def _of_tables(config: Config, sources: Sources) -> Iterator[str]:
    for table in config.batching:
        if table in NOT_WRITTEN_YET:
            yield sources.say(("Batching", table), "has no effect yet: no rows are written to this table")
        elif table != DEFAULT and table not in CATALOGUE:
            yield sources.say(("Batching", table), "has no effect: this is a view, no rows are written to it")


def _of_pruning(config: Config, sources: Sources) -> Iterator[str]:
    if config.prune_old_data and not config.data_retention_days:
        yield sources.say(("PruneOldData",), "has no effect without DataRetentionDays")
    if config.data_retention_days and not config.prune_old_data:
        yield sources.say(("DataRetentionDays",), "has no effect: PruneOldData is false")
    is_asked = config.prune_old_data or any(sink.prune for sink in config.sinks)
    if is_asked and config.privacy.prune_every is None:
        yield "Privacy.PruneEvery: is not given: rows are pruned by --prune only"


def _of_facebook(environ: Mapping[str, str]) -> Iterator[str]:
    for name in ("FB_PIXEL", "FB_TOKEN"):
        if environ.get(name):
            yield f"{name}: has no effect yet; later {_FACEBOOK}"


def _of_asking(config: Config, sources: Sources) -> Iterator[str]:
    api = config.api
    if api is None or api.is_off or any(is_named(api, sink) for sink in config.sinks):
        return
    yield sources.say(("API",), "names no store of Notify that can answer: the first that can is asked")


def is_named(api: Service, sink: Service) -> bool:
    """`API` means this store: by its Name where it gives one, else by its Service."""
    return api.name == sink.name if api.name else api.service == sink.service


def _of_nothing(config: Config, sources: Sources) -> Iterator[str]:
    if not config.sinks:
        yield sources.say(
            ("Notify",), "names no store that can be written to: what is acknowledged waits in the spool"
        )
