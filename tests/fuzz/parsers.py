"""Every parser of what strangers send, as one function of bytes that raises only when its promise is broken.

The promise: a value, or the error that the parser names; never another exception. `__main__` looks for bytes
that break it, `test_corpus` replays what is worth keeping.
"""

import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from tests.fuzz.commands import command
from tests.support.web import LOOPBACK
from tests.unit.steps.build import NOW, PIPELINE, check, envelope, hit
from tracker.batching.edits import BadEdit, Edit, Unedited
from tracker.config.loading import load
from tracker.errors import BadHit, ConfigError, TooLarge
from tracker.sinks import ndjson
from tracker.steps.json_input import loads_exactly
from tracker.steps.merge import path_values, query_values
from tracker.web.answers import header_lines
from tracker.web.bodies import Many, told_apart
from tracker.web.control_send import LineSplitter
from tracker.web.cookies import CookieWriter, Sites, parse_cookies
from tracker.web.cors import Cors
from tracker.web.frames import unpack
from tracker.web.inflate import decode_body
from tracker.web.redirects import RedirectRules
from tracker.web.requests import RequestReader, query_pairs, raw_path_of
from tracker.web.settings import CookieSettings, WebLimits, WebSettings

INFLATED = 1_000_000
LIMITS = WebLimits(max_events=100, max_inflated_bytes=INFLATED)
MOST_LINE = 64


def body(data: bytes) -> None:
    """A body as JSON object, array or lines, up to the rows that it becomes."""
    try:
        told = told_apart(data, LIMITS)
    except BadHit:
        return
    for values in told.each(LIMITS.max_depth) if isinstance(told, Many) else (told,):
        if not isinstance(values, BadHit):
            _event(values)


def payments(data: bytes) -> None:
    """A body of payments, numbers exact, up to the rows."""
    try:
        values = loads_exactly(data, LIMITS.max_depth)
        around = envelope(route="ltv", is_client=False)
        sent = PIPELINE.payments_in(around, values if isinstance(values, dict) else {"payments": values}, "")
    except BadHit:
        return
    for made in PIPELINE.prepare_payments(around, sent, {}, NOW):
        if isinstance(made, BadHit):
            assert made.reason
        else:
            check(made.entry.rows[0])


def target(data: bytes) -> None:
    """A request target: path pairs and query, up to the rows."""
    text = data.decode("utf-8", "surrogateescape")
    pairs, query = path_values(raw_path_of(text)), query_values(query_pairs(text), "")
    _event({}, base=pairs, query=query, uri=raw_path_of(text))


def headers(data: bytes) -> None:
    """Header lines of a trusted proxy, cookies and the `User` header among them, up to the rows."""
    raw = tuple(
        (name, value.strip()) for line in data.split(b"\n") for name, _, value in (line.partition(b":"),)
    )
    around = _reader()._describe("POST", "127.0.0.1", False, raw)
    _cookies().lines_for(
        PIPELINE.prepare(
            hit({}, host=around.host, user_agent=around.user_agent, base=around.said, ip=around.ip)
        ).identity,
        around.host,
        around.is_https,
    )
    _event({}, host=around.host, language=around.language, ja4h=around.ja4h, base=around.said, ip=around.ip)


def cookies(data: bytes) -> None:
    """One Cookie header."""
    for name, value in parse_cookies(data.decode("utf-8", "replace")).items():
        assert name.strip() == name != "", name
        assert ";" not in value


def redirect(data: bytes) -> None:
    """A redirect's target, up to the Location header."""
    host, _, wanted = data.decode("utf-8", "replace").partition("\n")
    decided = _rules().decide(wanted, host)
    if decided.outcome != "refused":
        assert header_lines(("Location", decided.location)).count(b"\r\n") == 1


def encoded(name: str) -> Callable[[bytes], None]:
    """A Content-Encoding; what comes out is bounded whatever goes in."""

    def decode(data: bytes) -> None:
        try:
            assert len(decode_body(data, name, INFLATED)) <= INFLATED
        except BadHit as error:
            assert error.reason

    return decode


def frame(data: bytes) -> None:
    """A WebSocket's binary frame, then what is in it."""
    try:
        content = unpack(data, INFLATED)
    except BadHit as error:
        assert error.reason
        return
    assert len(content) <= INFLATED
    body(content)


def config(data: bytes) -> None:
    """A configuration file."""
    path = _folder() / "config.json"
    path.write_bytes(data)
    try:
        load(path, {})
    except ConfigError as error:
        assert str(error)


def edit(data: bytes) -> None:
    """An edit of dead letters, and the row that it is tried on."""
    text, _, row = data.decode("utf-8", "replace").partition("\n")
    try:
        edited = Edit(text).apply("events", row.encode())
    except (BadEdit, Unedited) as error:
        assert str(error)
        return
    assert edited


def lines(data: bytes) -> None:
    """A batch's bytes as lines and in pieces, and an upload's lines in chunks: nothing is lost or made up."""
    found = ndjson.lines(data)
    if data.endswith(b"\n") or not data:
        assert ndjson.joined(found) == data
    assert b"".join(ndjson.pieces(data, MOST_LINE)) == data
    assert set(ndjson.sample(data, 3)) <= {*found, b""}
    splitter = LineSplitter(MOST_LINE)
    whole: list[tuple[int, bytes] | TooLarge] = []
    for start in range(0, len(data), 7):
        whole += splitter.feed(data[start : start + 7])
    whole += splitter.finish()
    expected = data.removesuffix(b"\n").split(b"\n") if data else []
    assert len(whole) == len(expected)
    for line, sent in zip(whole, expected, strict=True):
        assert isinstance(line, BadHit) == (len(sent) > MOST_LINE)
        assert isinstance(line, BadHit) or line[1] == sent


def _event(values: dict[str, object], **around: object) -> None:
    try:
        prepared = PIPELINE.prepare(hit(values, **around))
    except BadHit as error:
        assert error.reason
        return
    for row in prepared.entry.rows:
        check(row)


@cache
def _reader() -> RequestReader:
    return RequestReader(WebSettings(trusted_proxies=LOOPBACK), Cors("https://a.example"))


@cache
def _cookies() -> CookieWriter:
    return CookieWriter(CookieSettings(), _sites())


@cache
def _rules() -> RedirectRules:
    return RedirectRules(("ok.example", "*.below.example"), "https://home.example/", _sites())


@cache
def _sites() -> Sites:
    return Sites()


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="tracker-fuzz-"))


PARSERS: Mapping[str, Callable[[bytes], None]] = MappingProxyType(
    {
        "body": body,
        "payments": payments,
        "target": target,
        "headers": headers,
        "cookies": cookies,
        "redirect": redirect,
        "gzip": encoded("gzip"),
        "deflate": encoded("deflate"),
        "zstd": encoded("zstd"),
        "lz4": encoded("lz4"),
        "frame": frame,
        "config": config,
        "command": command,
        "edit": edit,
        "lines": lines,
    }
)
"""Name, which is the folder of its corpus, to the parser."""
