"""Hosts as people and browsers write them -> one form, and the host that an address leads every browser to.

Pure functions of text; which hosts are allowed for what is the callers' business.
"""

import re
from functools import lru_cache

import idna

MAX_HOST = 260
"""Characters: 253 of a name, a dot, a port."""
MAX_TARGET = 4096
"""Characters of an address that a redirect may lead to."""
_PORT = re.compile(r":\d*$")
_START = re.compile(r"https?://[^/?#\\@]", re.IGNORECASE)
_AUTHORITY = re.compile(r"(https?://)([^/?#]*)", re.IGNORECASE)
_HOST_AND_PORT = re.compile(
    r"(\[[0-9a-f:.]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?)(:\d{1,5})?", re.IGNORECASE | re.ASCII
)
_NAME_AND_PORT = re.compile(r"([^\s\\@:\[\]%]+)(:\d{1,5})?")


def bare_host(text: str) -> str:
    """A Host value in lower case, without port, brackets or the root's dot; '' when nothing is left.

    What is longer than a name may be is none.
    """
    host = text.strip().lower()
    if len(host) > MAX_HOST:
        return ""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    if host.count(":") <= 1:
        host = _PORT.sub("", host)
    return host.rstrip(".")


def ascii_host(host: str) -> str:
    """A bare host as browsers send it, an international name in punycode (`bücher.de` -> `xn--bcher-kva.de`).

    '' for a name that cannot be: each name has one form, so two that are equal afterwards are one host.
    """
    if host.isascii() and "xn--" not in host:
        return host
    return _punycode(host) if len(host) <= MAX_HOST else ""


@lru_cache(maxsize=1024)
def _punycode(host: str) -> str:
    try:
        return idna.encode(host, uts46=True).decode("ascii").rstrip(".")
    except UnicodeError:  # idna's own errors are UnicodeErrors
        return ""


def with_ascii_host(address: str) -> str:
    """An http(s) address with its host in ASCII; '' for a name that cannot be, any other text as it was."""
    found = _AUTHORITY.match(address)
    if found is None or (found[2].isascii() and "xn--" not in found[2].lower()):
        return address
    name = _NAME_AND_PORT.fullmatch(found[2])
    if name is None:
        return address
    host = ascii_host(bare_host(name[1]))
    return f"{found[1]}{host}{name[2] or ''}{address[found.end() :]}" if host else ""


def target_host(target: str) -> str:
    """The host an http(s) URL leads every browser to; '' for anything that could be read in two ways."""
    if len(target) > MAX_TARGET or not _START.match(target):
        return ""
    if "\\" in target or not all(char.isprintable() and not char.isspace() for char in target):
        return ""
    found = _AUTHORITY.match(target)
    if found is None or not _HOST_AND_PORT.fullmatch(found[2]):
        return ""
    return bare_host(found[2])


def origin_of(text: str) -> str:
    """`https://shop.example` for a host as a person writes it, its scheme optional; '' for what is none."""
    named = text.strip().rstrip("/")
    address = with_ascii_host(named if "://" in named else f"https://{named}")
    found = _AUTHORITY.match(address)
    return address if found and found.end() == len(address) and target_host(f"{address}/") else ""
