"""Where a tracked redirect may lead: a pure decision, so that nobody's link can borrow our name.

Allowed are the hosts of `RedirectHosts` and `Domains` (a name, or `*.name` for everything below it) and the
site that was asked; any other target is replaced by `DefaultRedirect`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from tracker.web.addresses import bare_host
from tracker.web.cookies import Sites

MAX_TARGET = 4096
_START = re.compile(r"https?://[^/?#\\@]", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?)(:\d{1,5})?", re.IGNORECASE)
_STAYS = "%/:?#[]@!$&'()*+,;=~"
"""Reserved characters (RFC 3986) and percent signs stay as they are in a Location."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where to, and why: allowed, default, or refused (then there is no location)."""

    outcome: str
    location: str


class RedirectRules:
    """Judges targets."""

    def __init__(self, hosts: Iterable[str], default: str, sites: Sites) -> None:
        entries = [entry.strip().lower() for entry in hosts]
        self._hosts = {bare_host(entry) for entry in entries if not entry.startswith("*.")} - {""}
        self._below = tuple(f".{bare_host(entry[2:])}" for entry in entries if entry.startswith("*."))
        self._default = quote(default, safe=_STAYS)
        self._sites = sites

    def decide(self, target: str | None, asked_host: str) -> Redirect:
        """What to answer to a wish to be sent to `target` by the host that was asked."""
        host = target_host(target or "")
        if target and host and self._is_allowed(host, asked_host):
            return Redirect("allowed", quote(target, safe=_STAYS))
        if self._default:
            return Redirect("default", self._default)
        return Redirect("refused", "")

    def _is_allowed(self, host: str, asked_host: str) -> bool:
        return host in self._hosts or host.endswith(self._below) or self._sites.is_same(host, asked_host)


def target_host(target: str) -> str:
    """The host an http(s) URL leads every browser to; '' for anything that could be read in two ways."""
    if len(target) > MAX_TARGET or not _START.match(target):
        return ""
    if "\\" in target or not all(char.isprintable() and not char.isspace() for char in target):
        return ""
    try:
        authority = urlsplit(target).netloc
    except ValueError:
        return ""
    return bare_host(authority) if _HOST_AND_PORT.fullmatch(authority) else ""
