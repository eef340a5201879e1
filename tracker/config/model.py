"""The whole configuration as one frozen value, every key of the file with its type, default and meaning.

How it is read lies in `loading`; which keys have no effect yet in `notyet`.
"""

from typing import Annotated

from tracker.config.batching import BatchSettings, resolve
from tracker.config.durations import MAX_DAYS
from tracker.config.privacy import Privacy
from tracker.config.sections import (
    Admin,
    Cookies,
    Limits,
    Log,
    Section,
    Shutdown,
    Spool,
    TableBatching,
)
from tracker.config.services import MAX_PAGE_ROWS, SERVICES, Service
from tracker.config.values import (
    DURATION,
    Count,
    Duration,
    File,
    Files,
    Flag,
    HostNames,
    Int64,
    ListenAt,
    Networks,
    Regex,
    Size,
    Text,
    Uint64,
    WebAddress,
    choice,
    key,
    whole,
)


class Config(Section):
    """Everything the file says, typed, with absolute paths."""

    # Listening
    listen: ListenAt = key(
        "ProxyExceptHTTP", "127.0.0.1:8880", "address of the plain HTTP listener, port 0 is any free one"
    )
    api_version: Annotated[int, whole(1, 1000)] = key("ApiVersion", 1, "version in the routes, as in /tr/v1/")
    allow_origin: Text = key("AllowOrigin", "*", "origins that may read answers, comma separated")
    maximum_connections: Annotated[int, whole(1)] = key(
        "MaximumConnections", 10_000, "requests under way at once; beyond them 503"
    )
    trusted_proxies: Networks = key(
        "TrustedProxies", ["127.0.0.0/8", "::1/128"], "networks whose forwarding headers are believed"
    )
    workers: Annotated[int, whole(1, 1024)] = key("Workers", 1, "processes that share the port")
    read_timeout_seconds: Duration = key("ReadTimeoutSeconds", 20, "time to read a body")
    read_header_timeout_seconds: Duration = key(
        "ReadHeaderTimeoutSeconds",
        20,
        "time to read a request's headers, and for a new connection's first to come",
    )
    write_timeout_seconds: Duration = key(
        "WriteTimeoutSeconds", 20, "time a client may take over an answer; then it is cut off"
    )
    idle_timeout_seconds: Duration = key(
        "IdleTimeoutSeconds", 75, "time a connection may stay open between requests"
    )
    max_header_bytes: Size = key(
        "MaxHeaderBytes",
        2**20,
        "most bytes of a request line and its headers; no single line may have more than 8190",
    )

    # TLS
    use_local_tls: Flag = key("UseLocalTLS", False, "serve HTTPS with the certificate of TLSCert")
    ignore_insecure_tls: Flag = key("IgnoreInsecureTLS", False, "had no effect in the original")
    tls_cert: File = key("TLSCert", "", "certificate")
    tls_key: File = key("TLSKey", "", "its key")
    proxy_port: Text = key("ProxyPort", "", "address of the listener that redirects to HTTPS")
    proxy_port_tls: Text = key("ProxyPortTLS", "", "address of the HTTPS listener")
    proxy_port_redirect: Text = key("ProxyPortRedirect", "", "port that the redirect to HTTPS names")

    # What is tracked
    use_remove_ip: Flag = key(
        "UseRemoveIP", True, "no raw address in any row, spool or log", also=("AnonymizeIP",)
    )
    prefix_private_hash: Text = key(
        "PrefixPrivateHash", "", "salt of the hashes of e-mail, phone and user name", secret=True
    )
    privacy: Privacy = key("Privacy", {}, "what is kept of whom")
    geoip_database: Files = key(
        "GeoIPDatabase",
        "",
        "address databases, IP2Location BIN or mmdb, asked in order; read anew when a file changes",
    )
    use_geoip: Flag = key("UseGeoIP", True, "look places up by address in GeoIPDatabase")
    use_region_descriptions: Flag = key(
        "UseRegionDescriptions", True, "keep the region and city of an address; what clients send is kept"
    )
    account_hash_mixer: Text = key("AccountHashMixer", "", "salt of the account's id", secret=True)
    url_filter: Regex = key("UrlFilter", "", "pattern that url and last are cut by")
    url_filter_match_group: Annotated[int, whole(0, 99)] = key(
        "UrlFilterMatchGroup", 0, "group of UrlFilter that is kept, 0 is the last one"
    )
    ignore_query_params_key: Text = key("IgnoreQueryParamsKey", "", "a query that has this key is not read")
    static_directory: File = key("StaticDirectory", "public", "folder of the files under /pub/")

    # Redirects
    domains: HostNames = key(
        "Domains",
        [],
        "own hosts: redirects may lead there, certificates name them",
        also=("LetsEncryptDomains",),
    )
    redirect_hosts: HostNames = key(
        "RedirectHosts", [], "other hosts redirects may lead to, *.example.com too"
    )
    default_redirect: WebAddress = key(
        "DefaultRedirect", "", "where a redirect leads that is not allowed; empty: 400"
    )

    # Where it goes
    notify: tuple[Service, ...] = key("Notify", [], "stores that are written to, in order")
    consume: tuple[Service, ...] = key("Consume", [], "queues that are read")
    spool: Spool = key("Spool", {}, "what was acknowledged and waits")
    batching: dict[str, TableBatching] = key(
        "Batching", {}, "when rows leave: for `default`, or a table by its name"
    )
    limits: Limits = key("Limits", {}, "bounds on what is read")

    # How long it stays
    data_retention_days: Annotated[int, whole(0, MAX_DAYS)] = key(
        "DataRetentionDays", 0, "age in days at which rows are deleted, where PruneOldData is true; 0: never"
    )
    prune_old_data: Flag = key(
        "PruneOldData", False, "pruning deletes rows older than DataRetentionDays from every ageing table"
    )
    prune_logs_ttl_seconds: Duration = key(
        "PruneLogsTTL", 2_592_000, "age at which pruning deletes logs; 0: never"
    )
    prune_logs_only: Flag = key("PruneLogsOnly", False, "pruning leaves everything but logs alone")
    prune_logs_skip: Flag = key(
        "PruneLogsSkip", False, "PruneLogsTTL has no effect; DataRetentionDays has, also on logs"
    )
    prune_logs_page_size: Annotated[int, whole(0, MAX_PAGE_ROWS)] = key(
        "PruneLogsPageSize", 0, "log rows of one step; 0: 10000"
    )
    prune_limit: Count = key(
        "PruneLimit", 0, "most rows that a run prunes in each store, a table's oldest first; 0: no limit"
    )
    prune_skip_to_timestamp: Annotated[int, whole(0, 253_402_300_799)] = key(
        "PruneSkipToTimestamp", 0, "Unix seconds; rows that came before are taken as pruned already"
    )
    prune_update_config: Flag = key(
        "PruneUpdateConfig", False, "--prune writes PruneSkipToTimestamp into the configuration file"
    )

    # Running it
    admin: Admin = key("Admin", {}, "who may look inside")
    cookies: Cookies = key("Cookies", {}, "names and life of cookies")
    log: Log = key("Log", {}, "what the server says about itself")
    shutdown: Shutdown = key("Shutdown", {}, "how it ends")
    debug: Flag = key("Debug", False, "Log.Level is debug unless it is given; never logs personal data")

    # Keys of the original whose features come later (see `notyet`)
    api: Service | None = key("API", None, "service that answers questions")
    temp_directory: File = key("TempDirectory", "", "folder for unpacking")
    geoip_version: Int64 = key("GeoIPVersion", 1, "version of the address database")
    ipv4_geoip_zip: File = key("IPv4GeoIPZip", "", "archive of the IPv4 addresses")
    ipv6_geoip_zip: File = key("IPv6GeoIPZip", "", "archive of the IPv6 addresses")
    ipv4_geoip_csv_dest: Text = key("IPv4GeoIPCSVDest", "", "file in that archive")
    ipv6_geoip_csv_dest: Text = key("IPv6GeoIPCSVDest", "", "file in that archive")
    proxy_url: WebAddress = key("ProxyUrl", "", "server behind /api/")
    proxy_url_filter: Regex = key("ProxyUrlFilter", "", "paths under /api/ that are not tracked")
    ignore_proxy_options: Flag = key(
        "IgnoreProxyOptions", False, "pass preflights on to the server behind /api/"
    )
    proxy_force_json: Flag = key("ProxyForceJson", False, "make requests to the server behind /api/ JSON")
    proxy_daily_limit: Uint64 = key(
        "ProxyDailyLimit",
        0,
        "requests to /api/ of one address a day, 0 is no limit",
        also=("RateLimitPerDay",),
    )
    proxy_daily_limit_checker: Annotated[str, choice("", *SERVICES)] = key(
        "ProxyDailyLimitChecker", "", "service that counts them"
    )
    schema_version: Int64 = key("SchemaVersion", 3, "version of the Cassandra schema")
    cflags_marketing: Int64 = key("CFlagsMarketing", 4096, "consent that Facebook needs")
    cflags_ignore: Flag = key("CFlagsIgnore", False, "send to Facebook without consent")
    max_connections: Annotated[int | None, whole(0, 100_000)] = key(
        "MaxConnections", None, "Connections of each store that does not say otherwise"
    )
    connection_timeout_seconds: Annotated[float | None, DURATION] = key(
        "ConnectionTimeout", None, "Timeout of each store that does not say otherwise"
    )
    s3_bucket: Text = key("S3Bucket", "", "bucket of the export")
    s3_prefix: Text = key("S3Prefix", "", "path in the bucket")
    s3_region: Text = key("S3Region", "", "region of the bucket")
    s3_access_key_id: Text = key("S3AccessKeyID", "", "access key", secret=True)
    s3_secret_access_key: Text = key("S3SecretAccessKey", "", "its secret", secret=True)
    health_check_interval_seconds: Duration = key("HealthCheckInterval", 300, "how often the export looks")
    inactivity_timeout_seconds: Duration = key(
        "InactivityTimeoutSeconds", 0, "quiet time after which is exported"
    )
    max_shard_size_bytes: Size = key("MaxShardSizeBytes", 104_857_600, "size from which on is exported")
    is_url_filtered: Flag = key("IsUrlFiltered", False, "made at run time")
    config_file: Text = key("ConfigFile", "", "made at run time")
    node_id: Text = key("NodeId", "", "made at run time")
    proxy_daily_limit_check: Flag = key("ProxyDailyLimitCheck", False, "made at run time")

    @property
    def sinks(self) -> tuple[Service, ...]:
        """The stores that are written to: configured, switched on, and available today."""
        return tuple(service for service in self.notify if service.is_available)

    def batching_for(self, table: str, sink: Service | None = None) -> BatchSettings:
        """When this table's rows leave for this sink; any table name will do."""
        return resolve(table, self.batching, sink)
