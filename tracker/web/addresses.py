"""Who asked and for which host: headers of trusted proxies are believed, everybody else's are not.

Pure functions of header values; reading a request is `requests`' business.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address

from tracker.steps.hosts import bare_host
from tracker.web.settings import Networks

Address = IPv4Address | IPv6Address
Headers = Mapping[str, str]
"""Lower-case header name to its value; lines of the same name joined by `, `."""

_HOST_HEADERS = ("x-original-host", "x-forwarded-host", "x-host")
_ADDRESS_HEADERS = ("x-real-ip", "x-forwarded-for", "x-client-ip", "cf-connecting-ip")
_ELEMENT_HEADERS = ("x-forwarded", "forwarded")
_PAIR = re.compile(r'\s*([A-Za-z]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;,]*)')


def parse_address(text: str) -> Address | None:
    """An address as proxies write it (with port, brackets, zone, quotes, mapped to IPv6), else None."""
    word = text.strip().strip('"').strip()
    if word.startswith("["):
        word = word[1:].partition("]")[0]
    elif word.count(":") == 1:
        word = word.partition(":")[0]
    try:
        address = ipaddress.ip_address(word.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_within(address: Address | None, networks: Networks) -> bool:
    """Whether one of the networks holds this address."""
    return address is not None and any(
        address in network for network in networks if network.version == address.version
    )


def forwarded_values(text: str, key: str) -> list[str]:
    """The values of one key in an RFC 7239 header, one for each element that has it, in order."""
    found = (pair.groups() for pair in _PAIR.finditer(text))
    return [value.strip().strip('"') for name, value in found if name.lower() == key]


def client_address(headers: Headers, peer: str, trusted: Networks) -> str:
    """Canonical text of the client's address, '' when unknown.

    Only a trusted peer's headers count. The first header, in the order of the contract, that names an
    untrusted hop decides; garbage falls through. When all hops are trusted the farthest one is the client.
    """
    nearest = parse_address(peer)
    if not is_within(nearest, trusted):
        return str(nearest or "")
    farthest: Address | None = nearest
    for hops in _hop_lists(headers):
        hop = _rightmost_untrusted(hops, trusted)
        if hop is None:
            continue
        if not is_within(hop, trusted):
            return str(hop)
        if farthest is nearest:
            farthest = hop
    return str(farthest)


def _hop_lists(headers: Headers) -> Iterable[list[str]]:
    for name in _ADDRESS_HEADERS:
        if value := headers.get(name):
            yield value.split(",")
    for name in _ELEMENT_HEADERS:
        if value := headers.get(name):
            yield forwarded_values(value, "for")


def _rightmost_untrusted(hops: Sequence[str], trusted: Networks) -> Address | None:
    """The nearest hop that is no proxy of ours, else the farthest one; None when garbage comes first."""
    farthest: Address | None = None
    for hop in reversed(hops):
        address = parse_address(hop)
        if address is None:
            return None
        if not is_within(address, trusted):
            return address
        farthest = address
    return farthest


def asked_host(headers: Headers, is_trusted: bool) -> str:
    """The host that was asked for: a trusted proxy's word, else the Host header."""
    if is_trusted:
        for name in _HOST_HEADERS:
            if host := bare_host(headers.get(name, "").partition(",")[0]):
                return host
        for value in forwarded_values(headers.get("forwarded", ""), "host"):
            if host := bare_host(value):
                return host
    return bare_host(headers.get("host", ""))


def asked_by_https(headers: Headers, is_trusted: bool, is_tls: bool) -> bool:
    """Whether the browser's side of the connection was encrypted."""
    if not is_trusted:
        return is_tls
    said = headers.get("x-forwarded-proto", "").partition(",")[0].strip()
    if not said:
        said = next(iter(forwarded_values(headers.get("forwarded", ""), "proto")), "")
    return said.lower() == "https" if said else is_tls
