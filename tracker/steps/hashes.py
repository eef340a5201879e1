"""The hashes of the original, so that old and new rows meet under the same value. None is a secret.

A keyed `iphash` is ours, and one.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from functools import lru_cache

_FNV_OFFSET = 2166136261
_FNV_PRIME = 16777619
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def h(text: str) -> str:
    """FNV-1a of 32 bits over UTF-8, in base 36, lower case. Not cached: see `host_hash` and `agent_hash`."""
    number = _FNV_OFFSET
    for byte in text.encode("utf-8", "replace"):
        number = ((number ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


@lru_cache(maxsize=2048)
def host_hash(host: str) -> str:
    """`hhash` of a host that is lower case and without port; '' for ''."""
    return h(host) if host else ""


@lru_cache(maxsize=2048)
def agent_hash(user_agent: str) -> str:
    """`bhash` of a user agent in lower case and trimmed; '' for ''."""
    return h(user_agent) if user_agent else ""


def iphash(ip: str, key: bytes = b"") -> str:
    """`iphash` of an address's canonical text; '' for ''.

    With a key it is HMAC-SHA256 cut to 128 bits, 32 hexadecimal digits; without one the original's, which can
    be reversed by trying every address.
    """
    if not ip:
        return ""
    if key:
        return hmac.digest(key, ip.encode("utf-8", "replace"), "sha256")[:16].hex()
    text = h(ip)
    for _ in range(3):
        text += h(ip + text)
    return text


def sha(text: str) -> str:
    """SHA-1 over UTF-8 in URL-safe base64 with padding."""
    digest = hashlib.sha1(text.encode("utf-8", "replace"), usedforsecurity=False).digest()
    return urlsafe_b64encode(digest).decode("ascii")


def private_hash(prefix: str, text: str) -> str:
    """What is kept of an e-mail address, phone number or user name; '' when nothing but blanks was sent."""
    kept = text.strip().lower()
    return sha(prefix + kept) if kept else ""
