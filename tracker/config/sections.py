"""This project's own sections of the configuration: one small frozen model each."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict

from tracker.config.values import (
    DURATION,
    LONG_DURATION,
    NUMBER,
    CookieName,
    Duration,
    Flag,
    LongDuration,
    NeededFile,
    Networks,
    Size,
    choice,
    key,
    whole,
)

STRATEGIES = ("immediate", "time", "size", "hybrid", "memory", "adaptive")
MAX_ROWS = 10_000_000


class Section(BaseModel):
    """The root of all models: frozen, knows exactly its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Spool(Section):
    """Where what was acknowledged waits until every store has it."""

    path: NeededFile = key("Path", "data/spool", "folder of the spool")
    durability: Annotated[
        Literal["power-loss", "process-crash", "memory"], choice("power-loss", "process-crash", "memory")
    ] = key("Durability", "power-loss", "what an acknowledged event survives")
    max_bytes: Size = key("MaxBytes", 10 * 2**30, "bytes that may wait on disk; beyond them requests get 503")
    dead_letters_max_bytes: Size = key(
        "DeadLettersMaxBytes",
        2**30,
        "bytes of rows that a store refused; beyond them the oldest are dropped; not part of MaxBytes",
    )
    dead_letters_max_age_seconds: LongDuration = key(
        "DeadLettersMaxAge", "90d", "age at which rows that a store refused are dropped"
    )
    max_memory_bytes: Size = key("MaxMemoryBytes", 64 * 2**20, "bytes that may wait in memory for the disk")
    remember_ids: Annotated[int, whole(0, 100_000_000)] = key(
        "RememberIds",
        1_000_000,
        "how many event ids sent by clients are remembered, so that a retry is no second event",
    )
    remember_for_seconds: Duration = key("RememberFor", "24h", "how long they are remembered")


class TableBatching(Section):
    """When one table's rows leave; what is missing here comes from the next place (see `batching`)."""

    strategy: Annotated[str | None, choice(*STRATEGIES)] = key("Strategy", None, "when a batch is due")
    max_batch_size: Annotated[int | None, whole(1, MAX_ROWS)] = key(
        "MaxBatchSize", None, "most rows of a batch"
    )
    max_batch_time_seconds: Annotated[float | None, DURATION] = key(
        "MaxBatchTime", None, "how long the oldest row may wait (time, hybrid, adaptive)"
    )
    max_memory_mb: Annotated[float | None, NUMBER] = key(
        "MaxMemoryMB", None, "most MiB of a batch (hybrid, memory)"
    )
    max_age_seconds: Annotated[float | None, LONG_DURATION] = key(
        "MaxAge", None, "how long the oldest row may wait in a quiet table (size, memory)"
    )
    target_latency_seconds: Annotated[float | None, LONG_DURATION] = key(
        "TargetLatency", None, "how long a write may take (adaptive)"
    )
    priority: Annotated[int | None, whole(1, 10)] = key(
        "Priority", None, "who goes first, 1 is the most urgent"
    )


class Limits(Section):
    """Bounds on what is read from a client."""

    max_body_bytes: Size = key("MaxBodyBytes", 8 * 2**20, "largest body as it is sent")
    max_inflated_bytes: Size = key(
        "MaxInflatedBytes", 16 * 2**20, "largest body or frame once it is decompressed"
    )
    max_bodies_in_memory: Size = key(
        "MaxBodiesInMemory",
        64 * 2**20,
        "bytes of clients that were read and not dealt with; beyond them whoever sent most gets 503",
    )
    max_open_connections: Annotated[int, whole(1, 1_000_000)] = key(
        "MaxOpenConnections",
        16_000,
        "connections at once, fewer when the system allows fewer open files; beyond them the oldest without"
        " a request are closed, else new ones get 503",
    )
    max_connections_per_address: Annotated[int, whole(0, 1_000_000)] = key(
        "MaxConnectionsPerAddress",
        2_000,
        "of them from one IPv4 address or one /64 of IPv6; beyond them 429; 0 is no limit, and none holds for"
        " TrustedProxies",
    )
    max_events: Annotated[int, whole(1, 1_000_000)] = key("MaxEvents", 10_000, "most events of one request")
    max_depth: Annotated[int, whole(1, 500)] = key("MaxDepth", 64, "deepest nesting of an event")
    max_message_bytes: Size = key("MaxMessageBytes", 2**20, "largest WebSocket frame as it is sent")
    max_websockets: Annotated[int, whole(1)] = key("MaxWebSockets", 10_000, "most WebSockets at once")
    websocket_idle_seconds: LongDuration = key(
        "WebSocketIdle", "5m", "a WebSocket that is silent for so long is closed"
    )


class Admin(Section):
    """Who may look inside."""

    socket: NeededFile = key("Socket", "data/tracker.sock", "control socket of the command line tools")
    password_in_path: Flag = key(
        "PasswordInPath",
        True,
        "an account's id and password may stand in the path, as the original's clients send them",
    )
    metrics_from: Networks = key(
        "MetricsFrom",
        ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"],
        "networks that may read /metrics; by default loopback and private ones",
    )


class Cookies(Section):
    """Names of the cookies that are read, and how the two of ours are set."""

    visitor: CookieName = key("Visitor", "vid", "visitor's id, read and set")
    session: CookieName = key("Session", "sid", "session's id, read and set")
    consent: CookieName = key("Consent", "CookieConsent", "consent, a bit mask")
    email_hash: CookieName = key("EmailHash", "ehash", "hash of the e-mail address")
    referral: CookieName = key("Referral", "ref", "visitor who referred this one")
    experiment: CookieName = key("Experiment", "xid", "experiment")
    same_site: Annotated[Literal["Lax", "Strict", "None"], choice("Lax", "Strict", "None")] = key(
        "SameSite", "Lax", "SameSite of the cookies that are set"
    )
    session_minutes: Annotated[int, whole(1, 525_600)] = key(
        "SessionMinutes", 30, "minutes without an event after which a session ends"
    )
    days: Annotated[int, whole(1, 100_000)] = key("Days", 400, "days the visitor's cookie lives")


class Log(Section):
    """What the server says about itself, on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], choice("debug", "info", "warning", "error")
    ] = key("Level", "info", "least severity that is logged")
    format: Annotated[Literal["json", "text"], choice("json", "text")] = key(
        "Format", "json", "one JSON object a line, or text for people"
    )


class Shutdown(Section):
    """How the server ends."""

    grace_seconds: Duration = key(
        "GraceSeconds",
        5,
        "time for the whole end: requests, delivery of what waits, closing; what is late is cut off",
    )
    pre_stop_seconds: Duration = key(
        "PreStop",
        "0s",
        "time before that, between the signal, from which on /readyz says 503, and the end of accepting",
    )
