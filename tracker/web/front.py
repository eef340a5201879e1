"""The web front put together: every route, and which of them a path means; `server` makes it listen.

aiohttp's own Application and router are left out: they cost a small event as much as its parsing does.
"""

from collections.abc import Awaitable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import unquote

from aiohttp import web

from tracker.metrics import Metrics
from tracker.steps.links import LinkRules
from tracker.web.answers import text_answer
from tracker.web.bodies import BodyReader
from tracker.web.connection import connection_of
from tracker.web.cookies import CookieWriter, Sites
from tracker.web.cors import Cors
from tracker.web.counts import EventCounts
from tracker.web.doors import Doors
from tracker.web.files import Files
from tracker.web.gate import Gate
from tracker.web.geoip import GeoAnswers
from tracker.web.gpc import PATH as GPC_PATH
from tracker.web.gpc import GpcStatement
from tracker.web.health import Health
from tracker.web.intake import Intake
from tracker.web.links import Links
from tracker.web.ltv import Payments
from tracker.web.memo import Memo
from tracker.web.openapi import Description
from tracker.web.persons import PersonAnswers
from tracker.web.ports import EventPipeline, Handler, HealthSource, Now, ScrapeSource
from tracker.web.privacy_api import PrivacyApi
from tracker.web.redirects import RedirectRules
from tracker.web.requests import RequestReader, is_head_larger, raw_path_of
from tracker.web.resolver import Resolver
from tracker.web.routes import Commons, Route
from tracker.web.services import WebServices
from tracker.web.settings import WebSettings
from tracker.web.tracking import Tracking, TrackingParts
from tracker.web.websocket import SocketParts, Sockets

REMEMBERED = 4096
REMEMBERED_LENGTH = 256
"""Longer targets are taken apart each time, so that memory is bounded."""


@dataclass(frozen=True, slots=True)
class Web:
    """All routes, as a server calls them; `close` ends what they started."""

    version: str
    """The path segment of the tracking routes: v1."""
    tracked: dict[str, Route]
    plain: dict[str, Route]
    nothing: Route
    links: Route
    """For paths that no other route has."""
    too_large: Route
    """For a head that is larger than `most_head_bytes`."""
    most_head_bytes: int
    usual: dict[str, Route]
    """Paths as clients mostly send them, found without taking them apart."""
    sockets: Sockets
    executor: ThreadPoolExecutor
    metrics: Metrics
    doors: Doors
    resolver: Resolver | None
    description: Description
    found: Memo[str, Route] = field(default_factory=lambda: Memo(REMEMBERED))
    """Short links that were asked for lately."""

    def handle(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        """The answer to a request, to be awaited."""
        target = request.raw_path
        route = self.usual.get(target) or self.found.get(target) or self._found(target)
        if connection_of(request).unread > self.most_head_bytes and is_head_larger(
            request, self.most_head_bytes
        ):
            route = self.too_large
        return route.answer(request)

    def _found(self, target: str) -> Route:
        route = self.find(target)
        if route is self.links and len(target) <= REMEMBERED_LENGTH and "?" not in target:
            self.found.keep(target, route)
        return route

    def find(self, target: str) -> Route:
        """The route that a request target means, with or without a slash at its end."""
        path = unquote(raw_path_of(target), errors="replace")
        parts = path.split("/", 4)
        if len(parts) > 3 and parts[1] == "tr" and parts[2] == self.version:
            return self.tracked.get(parts[3], self.nothing)
        return self.plain.get(path.removeprefix("/").removesuffix("/"), self.links)

    async def close(self) -> None:
        """End sockets, let go of the thread. Safe twice."""
        self.doors.stop()
        if self.resolver is not None:
            await self.resolver.close()
        await self.sockets.close()
        self.executor.shutdown(wait=False, cancel_futures=True)


def make_app(
    settings: WebSettings,
    pipeline: EventPipeline,
    health: HealthSource,
    metrics: Metrics,
    scrape: ScrapeSource,
    now: Now,
    services: WebServices | None = None,
) -> Web:
    """All routes upon these parts, ready to be served; without `services` those that need none of them."""
    cors = Cors(settings.allow_origin)
    commons = Commons(RequestReader(settings, cors), cors, Gate(settings.limits.maximum_connections), metrics)
    executor = ThreadPoolExecutor(1, thread_name_prefix="web")
    parts = _parts(settings, pipeline, commons, executor, now)
    sockets = _sockets(parts)
    tracked = {
        **_tracking(commons, parts),
        **_files(settings, commons, parts, executor),
        "ws": Route("ws", {"GET": sockets.upgrade}, commons, sockets.counts, is_timed=False),
        **_privacy(services, commons, parts, now),
        **_payments(commons, parts, now),
    }
    version = f"v{settings.api_version}"
    metrics.connections.set_function(lambda: commons.gate.taken)
    metrics.websockets.set_function(lambda: len(sockets))
    plain = _health(Health(health, scrape, commons.reader, commons.gate, settings.metrics_from), commons)
    statement = GpcStatement(commons.reader, now, is_honoured=settings.honours_gpc).answer
    plain[GPC_PATH] = Route("gpc.json", {"GET": statement, "HEAD": statement}, commons)
    description = Description(commons.reader, version)
    plain["openapi.json"] = Route(
        "openapi.json", {"GET": description.answer, "HEAD": description.answer}, commons
    )
    nothing = Route("unknown", {}, commons, otherwise=_nothing)
    resolver = Resolver(services, parts, version, now) if services is not None else None
    if services is not None:
        tracked |= _links(services, settings, commons, parts, plain, now)
    links = _followed(resolver, commons) if resolver is not None else nothing
    description.of((*tracked.values(), *plain.values(), links))
    return Web(
        version=version,
        tracked=tracked,
        plain=plain,
        nothing=nothing,
        links=links,
        too_large=Route("unknown", {}, commons, otherwise=_too_large),
        most_head_bytes=settings.limits.max_header_bytes,
        usual={f"/tr/{version}/{name}{end}": route for name, route in tracked.items() for end in ("", "/")},
        sockets=sockets,
        executor=executor,
        metrics=metrics,
        doors=Doors(settings, metrics),
        resolver=resolver,
        description=description,
    )


def _parts(
    settings: WebSettings,
    pipeline: EventPipeline,
    commons: Commons,
    executor: ThreadPoolExecutor,
    now: Now,
) -> TrackingParts:
    sites = Sites()
    hosts = (*settings.redirect_hosts, *settings.domains)
    return TrackingParts(
        limits=settings.limits,
        pipeline=pipeline,
        reader=commons.reader,
        bodies=BodyReader(settings.limits, executor),
        intake=Intake(pipeline, settings.limits.max_depth, now),
        cookies=CookieWriter(settings.cookies, sites),
        rules=RedirectRules(hosts, settings.default_redirect, sites),
        metrics=commons.metrics,
    )


def _tracking(commons: Commons, parts: TrackingParts) -> dict[str, Route]:
    tracked = {name: Tracking(name, parts) for name in ("tr", "str", "img", "rdr", "xrdr")}
    answers: dict[str, Handler] = {
        "tr": tracked["tr"].track,
        "str": tracked["str"].track_server,
        "img": tracked["img"].pixel,
        "rdr": tracked["rdr"].redirect,
        "xrdr": tracked["xrdr"].redirect,
    }
    routes: dict[str, Route] = {}
    for name, answer in answers.items():
        handlers: dict[str, Handler] = {"GET": answer, "POST": answer}
        if name == "img":
            handlers["HEAD"] = tracked[name].pixel_untracked
        routes[name] = Route(name, handlers, commons, tracked[name].counts, is_limited=True)
    return routes


def _payments(commons: Commons, parts: TrackingParts, now: Now) -> dict[str, Route]:
    payments = Payments(parts, now)
    handlers: dict[str, Handler] = {"GET": payments.take, "POST": payments.take}
    return {"ltv": Route("ltv", handlers, commons, payments.counts, is_limited=True)}


def _privacy(
    services: WebServices | None, commons: Commons, parts: TrackingParts, now: Now
) -> dict[str, Route]:
    if services is None:
        return {}
    geoip = GeoAnswers(parts.reader, services.places, services.credentials).answer
    others: dict[str, Mapping[str, Handler]] = {"geoip": {"GET": geoip, "HEAD": geoip}}
    if services.persons is not None:
        others |= PersonAnswers(parts, services.credentials, services.persons).actions()
    api = PrivacyApi(parts, services.consents, services.jurisdictions, now, others)
    handlers: dict[str, Handler] = dict.fromkeys(("GET", "HEAD", "POST"), api.answer)
    return {"ppi": Route("ppi", handlers, commons, actions=api.actions, is_limited=True)}


def _links(
    services: WebServices,
    settings: WebSettings,
    commons: Commons,
    parts: TrackingParts,
    routes: Iterable[str],
    now: Now,
) -> dict[str, Route]:
    version = f"v{settings.api_version}"
    links = Links(services, LinkRules(version, settings.domains, routes), parts, version, now)
    handlers: dict[str, Handler] = {"GET": links.get, "POST": links.post}
    return {"rpi": Route("rpi", handlers, commons, links.counts, is_limited=True)}


def _followed(resolver: Resolver, commons: Commons) -> Route:
    handlers: dict[str, Handler] = {"GET": resolver.follow, "HEAD": resolver.look}
    return Route("link", handlers, commons, resolver.counts, otherwise=_nothing, is_limited=True)


def _sockets(parts: TrackingParts) -> Sockets:
    counts = EventCounts(parts.metrics, "ws")
    return Sockets(
        SocketParts(parts.limits, parts.pipeline, parts.reader, parts.intake, parts.cookies, counts)
    )


def _files(
    settings: WebSettings, commons: Commons, parts: TrackingParts, executor: ThreadPoolExecutor
) -> dict[str, Route]:
    folder = settings.static_folder
    if folder is None or not folder.is_dir():
        return {}
    files = Files(folder, f"/tr/v{settings.api_version}/pub/", executor, parts)
    handlers: dict[str, Handler] = {"GET": files.send_tracked, "HEAD": files.send}
    return {"pub": Route("pub", handlers, commons, files.counts, is_limited=True)}


def _health(health: Health, commons: Commons) -> dict[str, Route]:
    handlers: dict[str, Handler] = {
        "ping": health.ping,
        "status": health.status,
        "clear": health.clear,
        "health": health.health,
        "livez": health.livez,
        "healthz": health.livez,
        "readyz": health.readyz,
        "sink-health": health.sink_health,
        "metrics": health.metrics,
    }
    return {name: Route(name, {"GET": one, "HEAD": one}, commons) for name, one in handlers.items()}


async def _too_large(request: web.BaseRequest) -> web.StreamResponse:
    return text_answer(431, "the head has more bytes than MaxHeaderBytes allows")


async def _nothing(request: web.BaseRequest) -> web.StreamResponse:
    return text_answer(404, "no such route")
