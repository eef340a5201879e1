"""What a request itself says about its events: host, address, user agent, language, as columns.

Equal for all events of a request and for most requests of one visitor, so it is remembered.
"""

from functools import lru_cache
from typing import Any

from tracker.events import Envelope
from tracker.steps.hashes import agent_hash, host_hash, iphash


def surroundings(envelope: Envelope, *, keep_ip: bool, ip_key: bytes = b"") -> dict[str, Any]:
    """Columns that hold for every event of the envelope; a new mapping, what is empty is left out.

    `ip_key` is that of `hashes.iphash`.
    """
    columns = _remembered(
        envelope.host, envelope.ip, envelope.user_agent, envelope.language, keep_ip, ip_key
    ).copy()
    if envelope.is_client:
        columns["is_client"] = True
    if envelope.ja4h:
        columns["ja4h"] = envelope.ja4h
    return columns


@lru_cache(maxsize=2048)
def _remembered(
    host: str, ip: str, user_agent: str, language: str, keep_ip: bool, ip_key: bytes
) -> dict[str, Any]:
    browser = user_agent.strip().lower()
    columns = {
        "hhash": host_hash(host),
        "iphash": iphash(ip, ip_key),
        "ip": ip if keep_ip else "",
        "bhash": agent_hash(browser),
        "browser": browser,
        "culture": _first_language(language),
    }
    return {column: value for column, value in columns.items() if value}


def _first_language(accepted: str) -> str:
    return accepted.partition(",")[0].partition(";")[0].strip().lower()
