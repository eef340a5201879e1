"""Cookies: which were sent, and the lines that set `vid` and `sid`.

What the values mean is decided in `steps.merge`; here they are text.
"""

import ipaddress
import re
from functools import lru_cache

import tldextract

from tracker.events import Identity
from tracker.web.settings import CookieSettings

_DOMAIN_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def parse_cookies(header: str) -> dict[str, str]:
    """Name to value of a Cookie header, the first of equal names; what is no pair is skipped."""
    found: dict[str, str] = {}
    for part in header.split(";"):
        name, is_pair, value = part.partition("=")
        if is_pair and (key := name.strip()):
            found.setdefault(key, _unquoted(value.strip()))
    return found


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return value[1:-1] if is_quoted else value


class Sites:
    """Which site a host belongs to, by the public suffix list that ships with tldextract; no network."""

    def __init__(self) -> None:
        self._extract = tldextract.TLDExtract(
            suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True
        )
        self.registrable = lru_cache(maxsize=4096)(self._registrable)
        self._extract("example.com")

    def _registrable(self, host: str) -> str:
        """`example.co.uk` for any host below it; '' for addresses, single labels and public suffixes."""
        if not _DOMAIN_NAME.fullmatch(host) or _is_address(host):
            return ""
        return self._extract(host).top_domain_under_public_suffix

    def is_same(self, one: str, other: str) -> bool:
        """Whether two bare hosts are one host or share a registrable domain."""
        site = self.registrable(one)
        return one == other != "" or (site != "" and site == self.registrable(other))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class CookieWriter:
    """The Set-Cookie lines of client routes. Not HttpOnly: scripts of the page have always read both."""

    def __init__(self, settings: CookieSettings, sites: Sites) -> None:
        for name in (settings.names.vid, settings.names.sid):
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"cookie name {name!r}: letters, digits and -_. only")
        self._vid = f"Set-Cookie: {settings.names.vid}=".encode()
        self._sid = f"Set-Cookie: {settings.names.sid}=".encode()
        self._settings = settings
        self._sites = sites
        self._endings = lru_cache(maxsize=4096)(self._make_endings)

    def lines_for(self, identity: Identity, host: str, is_https: bool) -> bytes:
        """Header lines that make a browser come back as this visitor, in this session.

        None for who is to be known again by nobody.
        """
        if not identity.is_lasting:
            return b""
        vid_ending, sid_ending = self._endings(host, is_https)
        return b"%b%b%b%b%b%b" % (
            self._vid,
            identity.vid.encode(),
            vid_ending,
            self._sid,
            identity.sid.encode(),
            sid_ending,
        )

    def _make_endings(self, host: str, is_https: bool) -> tuple[bytes, bytes]:
        site = self._sites.registrable(host)
        domain = f"; Domain={site}" if site else ""
        secure = "; Secure" if is_https else ""
        rest = f"; SameSite={self._settings.same_site}{domain}{secure}\r\n"
        ages = (self._settings.visitor_seconds, self._settings.session_seconds)
        vid, sid = (f"; Path=/; Max-Age={age}{rest}".encode() for age in ages)
        return vid, sid
