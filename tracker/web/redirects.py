"""Where a tracked redirect may lead: a pure decision, so that nobody's link can borrow our name.

Allowed are the hosts of `RedirectHosts` and `Domains` (a name, or `*.name` for everything below it) and the
site that was asked; any other target is replaced by `DefaultRedirect`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from tracker.steps.hosts import bare_host, target_host
from tracker.web.cookies import Sites

STAYS = "%/:?#[]@!$&'()*+,;=~"
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
        self._default = quote(default, safe=STAYS)
        self._sites = sites

    def decide(self, target: str | None, asked_host: str) -> Redirect:
        """What to answer to a wish to be sent to `target` by the host that was asked."""
        host = target_host(target or "")
        if target and host and self._is_allowed(host, asked_host):
            return Redirect("allowed", quote(target, safe=STAYS))
        if self._default:
            return Redirect("default", self._default)
        return Redirect("refused", "")

    def _is_allowed(self, host: str, asked_host: str) -> bool:
        return host in self._hosts or host.endswith(self._below) or self._sites.is_same(host, asked_host)
