"""One entry of `Notify` or `Consume`: a store that is written to or a queue that is read."""

from typing import Annotated, Literal

from tracker.config.sections import MAX_ROWS, Section
from tracker.config.values import (
    DURATION,
    MILLIS,
    NUMBER,
    SCALAR,
    Count,
    Duration,
    File,
    Flag,
    Int64,
    Kind,
    LongDuration,
    Text,
    Texts,
    Ttl,
    Uint64,
    Unfit,
    Wholes,
    choice,
    did_you_mean,
    key,
    whole,
)

MAX_PAGE_ROWS = 1_000_000
"""Most rows of one step of pruning."""
AVAILABLE = ("clickhouse", "duckdb")
"""Services that are written to today."""
SERVICES = ("cassandra", "clickhouse", "duckdb", "facebook", "nats")
"""Services that may be named; those that are not AVAILABLE are accepted with a warning."""


def is_off_name(service: str) -> bool:
    """`cassandra_`: a trailing underscore is the original's off switch, whatever stands before it."""
    return service.endswith("_")


def _service(value: str, _: object) -> str:
    if value not in SERVICES and not is_off_name(value):
        raise Unfit(did_you_mean(value, SERVICES))
    return value


ServiceName = Annotated[
    str,
    Kind(f'one of {", ".join(SERVICES)}, or any name that ends in "_" to switch it off', (str,), _service),
]


class FilterField(Section):
    """A field of a filter's query."""

    type: Text = key("Type", "", "type of the field")
    id: Text = key("Id", "", "name of the field")
    default: Annotated[str | int | float | bool | None, SCALAR] = key(
        "Default", None, "value when it is missing"
    )


class FilterQuery(Section):
    """A query of a filter."""

    statement: Text = key("Statement", "", "text of the query")
    query_type: Text = key("QueryType", "", "type of the query")
    fields_: tuple[FilterField, ...] = key("Fields", (), "its fields")


class Filter(Section):
    """What a queue's messages are and where they come from."""

    type: Text = key("Type", "", "type of the filter")
    alias: Text = key("Alias", "", "kind of the messages: log, count, update")
    id: Text = key("Id", "", "subject they come by")
    queries: tuple[FilterQuery, ...] = key("Queries", (), "queries")


class PruneField(Section):
    """A column that pruning empties."""

    id: Text = key("Id", "", "column")
    type: Text = key("Type", "", "a remark: the catalogue knows each column's type")
    default: Annotated[str | int | float | bool | None, SCALAR] = key(
        "Default", None, "value it gets; by default the column's own default"
    )
    dest_param_hash: Text = key(
        "DestParamHash", "", "key in params that keeps a hash of the old value, salted with PrefixPrivateHash"
    )


class Prune(Section):
    """How old rows of one table are pruned."""

    table: Text = key("Table", "", "a table of docs/tables.md whose rows have a time, not a view")
    ttl_seconds: Duration = key("TTL", 0, "age at which its rows are pruned, by the collector's clock")
    page_size: Annotated[int, whole(0, MAX_PAGE_ROWS)] = key("PageSize", 0, "rows of one step; 0: 5000")
    cflags_ignore: Wholes = key(
        "CFlagsIgnore", [], "rows that have any of these bits of cflags stay as they are"
    )
    clear_all: Flag = key("ClearAll", False, "delete the whole row; else it is emptied")
    clear_params: Flag = key("ClearParams", False, "params keep nothing but hashes of Fields")
    clear_numeric_params: Flag = key("ClearNumericParams", False, "params lose the numbers at their top")
    fields_: tuple[PruneField, ...] = key("Fields", (), "columns that are emptied")


class Service(Section):
    """One store or queue. Keys that a service has no use for are accepted with a warning."""

    service: ServiceName = key(
        "Service", ..., "what it is; a trailing underscore switches it off", also=("Type",)
    )
    name: Text = key(
        "Name", "", "what the sink is called in the spool and in metrics; by default service:Context"
    )
    context: Text = key(
        "Context",
        "",
        "database, keyspace, subject; of duckdb its file, of embedded clickhouse its folder",
        also=("Keyspace",),
    )
    skip: Flag = key("Skip", False, "switch it off")
    critical: Flag = key("Critical", False, "the start fails when it cannot be reached")
    note: Text = key("Note", "", "a remark")
    hosts: Texts = key(
        "Hosts", [], 'addresses, each host:port; of clickhouse also "embedded", the engine in this process'
    )
    cluster: Text = key(
        "Cluster", "", "clickhouse: name of the cluster whose replicas Hosts are; its tables are replicated"
    )
    ttl: Ttl = key("TTL", {}, "clickhouse: age at which rows of a table are dropped, by table")
    compression: Annotated[Literal["lz4", "zstd", "none"], choice("lz4", "zstd", "none")] = key(
        "Compression", "lz4", "clickhouse: of batches on their way"
    )
    host: Text = key("Host", "", "address of the only host, instead of Hosts")
    port: Annotated[int | None, whole(1, 65535)] = key(
        "Port", None, "port of the only host, instead of Hosts"
    )
    username: Text = key("Username", "", "user")
    password: Text = key("Password", "", "password", secret=True)
    ca_cert: File = key("CACert", "", "certificate of the authority; given, there is TLS")
    cert: File = key("Cert", "", "certificate of the client")
    key_: Text = key("Key", "", "key of the client's certificate, or access token", secret=True)
    secure: Flag = key("Secure", False, "TLS, and verify the server's certificate")
    unencrypted: Flag = key("Unencrypted", False, "no TLS")
    timeout_seconds: Annotated[float | None, MILLIS] = key(
        "Timeout", None, "time to connect; a number is milliseconds"
    )
    write_timeout_seconds: LongDuration = key(
        "WriteTimeout", 60.0, "a write that takes longer counts as hung: the same rows are sent again"
    )
    connections: Annotated[int | None, whole(0, 100_000)] = key(
        "Connections", None, "connections of the driver's pool", also=("MaxConnections",)
    )
    retries: Count = key("Retries", 0, "retries of the driver")
    batching_enabled: Flag = key("BatchingEnabled", True, "false: every table of this sink is immediate")
    max_batch_size: Annotated[int | None, whole(1, MAX_ROWS)] = key(
        "MaxBatchSize", None, "most rows of a batch, for tables without their own entry in Batching"
    )
    max_batch_time_seconds: Annotated[float | None, DURATION] = key(
        "MaxBatchTime",
        None,
        "how long the oldest row may wait, for tables without their own entry in Batching",
    )
    max_memory_mb: Annotated[float | None, NUMBER] = key(
        "MaxMemoryMB", None, "most MiB of a batch, for tables without their own entry in Batching"
    )
    batch_flush_interval_seconds: Annotated[float | None, DURATION] = key(
        "BatchFlushInterval", None, "another word for MaxBatchTime, which wins where both are given"
    )
    enable_compression: Flag = key("EnableCompression", False, "compress batches on their way")
    filter: tuple[Filter, ...] = key("Filter", (), "what is consumed")
    prune: tuple[Prune, ...] = key("Prune", (), "what is pruned")
    format: Text = key("Format", "", "format of the messages")
    message_limit: Int64 = key("MessageLimit", 0, "most messages")
    byte_limit: Int64 = key("ByteLimit", 0, "most bytes")
    attempt_all: Flag = key("AttemptAll", False, "send every event, not only those that ask for it")
    consumer: Text = key("Consumer", "", "name of the consumer")
    ephemeral: Flag = key("Ephemeral", False, "the consumer is not kept")
    proxy_service: Text = key("ProxyRealtimeStorageServiceName", "", "service that answers instead")
    proxy_tables: Uint64 = key("ProxyRealtimeStorageServiceTables", 0, "tables it answers for, a bit mask")

    @property
    def is_off(self) -> bool:
        """Switched off, by `Skip` or by a trailing underscore."""
        return self.skip or is_off_name(self.service)

    @property
    def is_available(self) -> bool:
        """Switched on, and written to today."""
        return not self.is_off and self.service in AVAILABLE

    @property
    def addresses(self) -> tuple[str, ...]:
        """`Hosts`, or the one address that `Host` and `Port` make."""
        if self.hosts or not (self.host or self.port):
            return self.hosts
        host = self.host or "127.0.0.1"
        return (f"{host}:{self.port}",) if self.port else (host,)
