"""What the web front is told at start; `app` fills it in from the configuration, no file is read here."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from tracker.steps.merge import CookieNames

Networks = tuple[IPv4Network | IPv6Network, ...]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CookieSettings:
    """Which cookies are read and how `vid` and `sid` are set."""

    names: CookieNames = field(default_factory=CookieNames)
    same_site: str = "Lax"
    visitor_seconds: int = 400 * 24 * 3600
    """What browsers cap a cookie's life at."""
    session_seconds: int = 30 * 60
    """Slides: every answer sets it anew."""


@dataclass(frozen=True, slots=True)
class WebLimits:
    """Bounds on what one sender may ask of us; sizes in bytes."""

    max_body_bytes: int = 8 * MIB
    max_inflated_bytes: int = 16 * MIB
    body_seconds: float = 30.0
    """How long a body may take to arrive; 0 is no limit."""
    header_seconds: float = 20.0
    """How long a request's head may take, and a new connection's first one to come; 0 is no limit."""
    write_seconds: float = 20.0
    """How long a client may take over an answer; 0 is no limit."""
    max_header_bytes: int = MIB
    """Request line and headers together."""
    max_bodies_in_memory: int = 64 * MIB
    """Bytes of all clients that were not dealt with yet; beyond them whoever sent most gives way."""
    max_open_connections: int = 16_000
    max_connections_per_address: int = 2_000
    """Of one IPv4 address or one /64 of IPv6, trusted proxies excepted; 0 is no limit."""
    max_events: int = 10_000
    max_depth: int = 64
    max_message_bytes: int = MIB
    """One WebSocket frame, after the transport's own inflation."""
    max_websockets: int = 10_000
    websocket_idle_seconds: float = 300.0
    """After so long without an event a socket is closed; 0 is never."""
    maximum_connections: int = 0
    """Tracked requests under way at once; 0 is no limit."""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Everything the routes need to know beside the pipeline."""

    api_version: int = 1
    allow_origin: str = "*"
    """`*`, or concrete origins separated by commas."""
    ignore_query_key: str = ""
    cookies: CookieSettings = field(default_factory=CookieSettings)
    limits: WebLimits = field(default_factory=WebLimits)
    trusted_proxies: Networks = ()
    metrics_from: Networks = ()
    redirect_hosts: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    default_redirect: str = ""
    static_folder: Path | None = None
    """Served under /pub/ when it exists at start."""
    honours_gpc: bool = False
    """Whether `Sec-GPC` makes a difference."""
