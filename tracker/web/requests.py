"""A request -> what its headers say, and the Envelope its events share; bodies are `bodies`' business.

A client sends the same headers again and again, so what they say is worked out once and remembered (in
memory, bounded); only headers that differ each time are left out of the comparison.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from tracker.events import Envelope, Values
from tracker.steps.ja4h import ja4h
from tracker.steps.merge import cookie_values, header_values, merge, path_values, query_values
from tracker.web.addresses import asked_by_https, asked_host, client_address, is_within, parse_address
from tracker.web.cookies import parse_cookies
from tracker.web.cors import Cors
from tracker.web.memo import Memo
from tracker.web.settings import WebSettings

REMEMBERED = 2048
"""Clients whose headers are remembered."""
REMEMBERED_BYTES = 4096
"""Headers larger than this are worked out each time: memory is bounded whatever is sent."""
CLIENT_ROUTES = frozenset({"tr", "img", "pub", "xrdr", "ws", "link"})
_VARYING = (b"Content-Length", b"X-Request-Id", b"X-Request-ID", b"Traceparent", b"X-Amzn-Trace-Id")
_DIFFERS_EACH_TIME = {name: (name, b"") for name in (*_VARYING, *(name.lower() for name in _VARYING))}
"""Header name as usually written -> what stands for the header: its name counts, its value does not."""

RawHeaders = tuple[tuple[bytes, bytes], ...]
Asked = tuple[str, str, bool, RawHeaders]
"""Method, peer's address, whether it came by TLS, headers."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a request's headers and connection say; the same for all requests of a client."""

    host: str
    ip: str
    is_https: bool
    user_agent: str
    language: str
    ja4h: str
    said: Values
    """Values of the `User` header and the cookies, merged."""
    cors: bytes
    """Ready-made header lines for this origin."""
    gpc: bool = False
    """`Sec-GPC: 1` was sent."""
    dnt: bool = False
    """`DNT: 1` was sent."""


class RequestReader:
    """Makes Surroundings and Envelopes of requests."""

    def __init__(self, settings: WebSettings, cors: Cors) -> None:
        self._settings = settings
        self._cors = cors
        self._described: Memo[Asked, Surroundings] = Memo(REMEMBERED)
        self._posted: Memo[tuple[str, str, Asked], tuple[Surroundings, Envelope]] = Memo(REMEMBERED)

    def surroundings(self, request: web.BaseRequest) -> Surroundings:
        """What headers and connection say."""
        return self._surroundings(_asked(request))

    def posted(self, request: web.BaseRequest, route: str) -> tuple[Surroundings, Envelope]:
        """The envelope of a POST: path pairs count, the query does not."""
        key = (route, request.raw_path, _asked(request))
        known = self._posted.get(key)
        if known is None:
            around = self._surroundings(key[2])
            known = around, _envelope(route, key[1], around, {})
            if len(key[1]) <= REMEMBERED_BYTES and _is_small(key[2]):
                self._posted.keep(key, known)
        return known

    def asked(self, request: web.BaseRequest, route: str) -> tuple[Surroundings, Envelope]:
        """The envelope of a GET or of a WebSocket's upgrade, with its query."""
        around = self.surroundings(request)
        return around, self.envelope(around, request.raw_path, route)

    def envelope(self, around: Surroundings, target: str, route: str) -> Envelope:
        """The envelope of a GET with this request target, its query included."""
        query = query_values(query_pairs(target), self._settings.ignore_query_key)
        return _envelope(route, target, around, query)

    def _surroundings(self, asked: Asked) -> Surroundings:
        known = self._described.get(asked)
        if known is None:
            known = self._describe(*asked)
            if _is_small(asked):
                self._described.keep(asked, known)
        return known

    def _describe(self, method: str, peer: str, is_tls: bool, raw: RawHeaders) -> Surroundings:
        headers = [(_text(name), _text(value)) for name, value in raw]
        one = _joined(headers)
        is_trusted = is_within(parse_address(peer), self._settings.trusted_proxies)
        cookies = parse_cookies(one.get("cookie", ""))
        return Surroundings(
            host=asked_host(one, is_trusted),
            ip=client_address(one, peer, self._settings.trusted_proxies),
            is_https=asked_by_https(one, is_trusted, is_tls),
            user_agent=one.get("user-agent", ""),
            language=one.get("accept-language", ""),
            ja4h=ja4h(method, False, _bounded(headers)),
            said=merge(header_values(one.get("user")), cookie_values(cookies, self._settings.cookies.names)),
            cors=self._cors.lines_for(one.get("origin", "")),
            gpc=_is_one(one.get("sec-gpc")),
            dnt=_is_one(one.get("dnt")),
        )


def _envelope(route: str, target: str, around: Surroundings, query: Values) -> Envelope:
    pairs = path_values(unquote(raw_path_of(target), errors="replace"))
    is_silent = route == "str"
    return Envelope(
        route=route,
        is_client=route in CLIENT_ROUTES,
        host=around.host,
        ip=around.ip,
        user_agent="" if is_silent else around.user_agent,
        language="" if is_silent else around.language,
        ja4h=around.ja4h,
        uri=valid_text(target),
        base=merge(around.said, pairs) if pairs else around.said,
        query=query,
        gpc=around.gpc,
        dnt=around.dnt,
    )


def _asked(request: web.BaseRequest) -> Asked:
    """Everything that Surroundings depend on, and nothing that differs each time."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    raw = tuple([_DIFFERS_EACH_TIME.get(pair[0], pair) for pair in request.raw_headers])
    return request.method, peer[0] if peer and not isinstance(peer, str) else "", request.secure, raw


def is_head_larger(request: web.BaseRequest, size: int) -> bool:
    """Whether request line and headers have more bytes than `size`."""
    fields = sum([len(name) + len(value) + 4 for name, value in request.raw_headers])
    return len(request.method) + len(request.raw_path) + 12 + fields > size


def _is_small(asked: Asked) -> bool:
    return sum([len(name) + len(value) for name, value in asked[3]]) <= REMEMBERED_BYTES


def _bounded(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What a fingerprint looks at, cut to what decent clients send: fingerprints are remembered elsewhere."""
    return [(name[:100], value[:2048]) for name, value in headers]


def _joined(headers: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Lower-case name to value; lines of the same name are joined, a cookie's by `; `."""
    joined: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        between = "; " if key == "cookie" else ", "
        joined[key] = f"{joined[key]}{between}{value}" if key in joined else value
    return joined


def _is_one(signal: str | None) -> bool:
    """Whether a signal of a browser is given; said in several lines, once is enough."""
    return signal is not None and "1" in (part.strip() for part in signal.split(","))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def valid_text(text: str) -> str:
    """The text with U+FFFD for bytes that are no UTF-8 (they arrive as surrogate escapes)."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def raw_path_of(target: str) -> str:
    """A request target's path as sent, without query, and without scheme and host if it has them."""
    path = valid_text(target).partition("?")[0].partition("#")[0]
    if path.startswith("/"):
        return path
    rest = path.partition("://")[2]
    return rest[rest.find("/") :] if "/" in rest else "/"


def query_pairs(target: str) -> list[tuple[str, str]]:
    """A request target's query as decoded pairs in order; bad percent escapes stay as they are."""
    query = valid_text(target).partition("?")[2].partition("#")[0]
    return parse_qsl(query, keep_blank_values=True, errors="replace") if query else []
