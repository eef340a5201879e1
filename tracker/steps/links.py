"""Short links: what was sent -> a link, or why it is refused; its key, its rows, where it leads.

Pure. Who may write for a host, what is stored already and answering are others' business.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from tracker.errors import BadHit
from tracker.events import Row, Values
from tracker.steps import coerce, ids
from tracker.steps.hashes import host_hash
from tracker.steps.hosts import MAX_TARGET, ascii_host, bare_host, target_host, with_ascii_host
from tracker.steps.merge import query_values
from tracker.steps.rows import encode
from tracker.tables import ZERO_UUID

SELF_REFERENTIAL = "Bad URL (self-referential)"
BAD_DATA = "Bad request (data)"
MAX_PATH = 2048
"""Characters of a short link's path."""
MAX_NAME = 256
"""Characters of an organisation's name or id."""
_ADDRESS = re.compile(r"(https?)://([^/?#]*)([^?#]*)(?:\?([^#]*))?", re.IGNORECASE)
_plain_path = re.compile(r"(?:/[a-z0-9_~-][a-z0-9._~-]*)+").fullmatch
_hides_something = re.compile(r"%(?:25|2f|5c|3f|23)", re.IGNORECASE).search
"""An encoded percent sign, slash, backslash, question mark or hash."""


class Link(NamedTuple):
    """A short link as it is to be stored."""

    host: str
    path: str
    """Decoded, lower case."""
    urlfrom: str
    """As it was sent, lower case."""
    urlto: str
    """http or https, its host in ASCII."""
    searchto: str
    oid: str
    """A UUID, '' for none."""
    org: str

    @property
    def key(self) -> str:
        """What `redirects.urlfrom` holds: host and path."""
        return self.host + self.path


@dataclass(frozen=True, slots=True)
class Way:
    """Where a link leads."""

    target: str
    """An http(s) address; a path, below the host of the organisation `oid`; '' when it leads nowhere safe."""
    values: Values | None
    """What a tracked link says of its clicks; None for a plain one."""
    oid: str = ""
    """The organisation whose host a path is below; a UUID, '' for none."""


class LinkRules:
    """Judges links that are to be made."""

    def __init__(self, version: str, domains: Iterable[str], routes: Iterable[str]) -> None:
        """`version` is v1; `domains` are our names, also as `*.name`; `routes` paths without slashes."""
        names = [name.strip().lower() for name in domains]
        self._version = version
        self._ours = {ascii_host(bare_host(name)) for name in names if not name.startswith("*.")} - {""}
        self._below = tuple(f".{ascii_host(bare_host(name[2:]))}" for name in names if name.startswith("*."))
        self._routes = frozenset(routes)

    def read(self, values: Mapping[str, Any]) -> Link:
        """The link that a body asks for; the original's rules, order and texts. Raises BadHit."""
        urlfrom, urlto = _address(values, "urlfrom").lower(), _address(values, "urlto")
        if not urlfrom or not urlto:
            raise _bad("Bad URL (null)")
        if urlfrom == urlto.lower():
            raise _bad("Bad URL (equal)")
        urlto = with_ascii_host(urlto)
        self._judge_target(urlto)
        host, path = self._source(urlfrom)
        if host + path == address_key(urlto):
            raise _bad(SELF_REFERENTIAL)
        searchto = _text(values, "searchto", MAX_TARGET) or _parts(urlto)[2]
        oid, org = _id(_text(values, "oid", MAX_NAME)), _text(values, "org", MAX_NAME)
        return Link(host, path, urlfrom, urlto, searchto, oid, org)

    def _judge_target(self, urlto: str) -> None:
        host = target_host(urlto)
        if not host:
            raise _bad("Bad URL (destination)")
        if is_tracked(urlto, self._version):
            if not _safe(_wanted(urlto)):
                raise _bad("Bad URL (destination)")
        elif host in self._ours or host.endswith(self._below):
            raise _bad(SELF_REFERENTIAL)

    def _source(self, urlfrom: str) -> tuple[str, str]:
        address = urlfrom if "://" in urlfrom else f"https://{urlfrom.removeprefix('//')}"
        host = target_host(f"{_origin(with_ascii_host(address))}/")
        if not host:
            raise _bad("Bad URL (from)")
        path = link_path(_parts(address)[1])
        if len(path) < 2 or path.strip("/") in self._routes or f"{path}/".startswith(f"/tr/{self._version}/"):
            raise _bad("Bad URL (from path)")
        return host, path


def _bad(reason: str) -> BadHit:
    return BadHit(reason, "bad_link")


def _address(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value.strip() if isinstance(value, str) else ""


def _text(values: Mapping[str, Any], name: str, most: int) -> str:
    value = values.get(name)
    try:
        text = "" if value is None else coerce.text(value).strip()
    except coerce.Misfit as error:
        raise _bad(BAD_DATA) from error
    if len(text) > most:
        raise _bad(BAD_DATA)
    return text


def _id(text: str) -> str:
    known = ids.parse(text) or ids.named(text) if text else ""
    return "" if known == ZERO_UUID else known


def link_path(raw: str) -> str:
    """The path of a short link as rows hold it, from one as it was sent: decoded, lower case.

    '' for a path that no link may have: what could mean two things to two readers (encoded slashes, dot
    segments, empty ones, control characters, bytes that are no UTF-8).
    """
    if _plain_path(raw) and len(raw) <= MAX_PATH:
        return raw
    if not raw.startswith("/") or len(raw) > MAX_PATH or "\\" in raw or "//" in raw or _hides_something(raw):
        return ""
    try:
        path = unicodedata.normalize("NFC", unquote(raw, errors="strict").lower())
    except UnicodeDecodeError:
        return ""
    return path if path.isprintable() and {".", ".."}.isdisjoint(path.split("/")) else ""


def link_key(host: str, raw_path: str) -> str:
    """What `redirects.urlfrom` holds for a request's bare host and path as sent; '' when no link can be."""
    path = link_path(raw_path)
    name = ascii_host(host)
    return name + path if name and len(path) > 1 else ""


def address_key(address: str) -> str:
    """The key of the link that an http(s) address would follow; '' when there can be none."""
    return link_key(target_host(with_ascii_host(address)), _parts(address)[1])


def _parts(address: str) -> tuple[str, str, str]:
    """Authority, path and query of an http(s) address, as sent."""
    found = _ADDRESS.match(address)
    return (found[2], found[3], found[4] or "") if found else ("", "", "")


def _origin(address: str) -> str:
    """Scheme and authority of an http(s) address."""
    found = _ADDRESS.match(address)
    return f"{found[1]}://{found[2]}" if found else ""


def is_tracked(urlto: str, version: str) -> bool:
    """Whether a link leads through the tracked redirect of this API version."""
    return f"/tr/{version}/rdr/" in f"{_parts(urlto)[1]}/"


def way_of(urlto: str, version: str) -> Way:
    """Where a stored link leads, whoever stored it: nothing but http, https and paths comes out."""
    safe = _safe(urlto)
    own = "" if safe.startswith("/") else safe
    if not is_tracked(urlto, version):
        return Way(own, None)
    pairs = _query(urlto)
    values = query_values([pair for pair in pairs if pair[0].lower() != "url"], "")
    return Way(_safe(_wanted(urlto)) or own, values, _id(str(values.get("oid", "")).strip()[:MAX_NAME]))


def _wanted(urlto: str) -> str:
    return next((value.strip() for key, value in _query(urlto) if key.lower() == "url"), "")


def _query(urlto: str) -> list[tuple[str, str]]:
    return parse_qsl(_parts(urlto)[2], keep_blank_values=True, errors="replace")


def _safe(target: str) -> str:
    """An http(s) address (host in ASCII), or a path that no browser takes for one; '' for anything else."""
    if target.startswith("/"):
        is_path = not target.startswith("//") and target_host(f"https://a{target}") == "a"
        return target if is_path else ""
    address = with_ascii_host(target)
    return address if target_host(address) else ""


def link_row(link: Link, updater: str, now: str, created: str) -> dict[str, Any]:
    """The row of `redirects` that says where the link leads from now on; times as rows hold them."""
    row = {
        "hhash": host_hash(link.host),
        "urlfrom": link.key,
        "urlto": link.urlto,
        "oid": link.oid,
        "org": link.org,
        "updated_at": now,
        "updater": updater,
        "created_at": created,
    }
    return {column: value for column, value in row.items() if value}


def history_row(link: Link, updater: str, now: str) -> dict[str, Any]:
    """The row of `redirect_history` that says that it was made or changed."""
    row = {
        "id": ids.new_id(),
        "urlfrom": link.urlfrom,
        "hostfrom": link.host,
        "slugfrom": link.path,
        "urlto": link.urlto,
        "hostto": target_host(link.urlto),
        "pathto": _parts(link.urlto)[1],
        "searchto": link.searchto,
        "oid": link.oid,
        "org": link.org,
        "updater": updater,
        "updated_at": now,
    }
    return {column: value for column, value in row.items() if value}


def rows_of(current: dict[str, Any], history: dict[str, Any]) -> tuple[Row, Row]:
    """Both rows, encoded; they are stored together."""
    return encode("redirects", current), encode("redirect_history", history)
