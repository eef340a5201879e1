"""Passwords and their hashes: argon2id, and the original's unsalted SHA-1, which is only ever read.

Cost: 19 MiB, 2 passes, 1 lane, as OWASP recommends for small machines
(https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html). It blocks for tens of
milliseconds: call it in a thread.
"""

import base64
import hashlib
import hmac

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

MEMORY_KIB = 19 * 1024
PASSES = 2
LEAST_CHARACTERS, MOST_BYTES = 8, 1024
SEEDED_UID = "14fb0860-b4bf-11e9-8971-7b80435315ac"
_SEEDED_PASSWORD = "password"  # noqa: S105 (the one that the original publishes: it opens nothing here)

_hasher = PasswordHasher(
    time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)
_salt, _digest = (base64.b64encode(bytes(size)).decode().rstrip("=") for size in (16, 32))
NO_PASSWORDS_HASH = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${_salt}${_digest}"
"""Costs as much as any to compare with, and no password has it."""


def objection(password: str) -> str:
    """Why this cannot be a new password, '' when it can."""
    if len(password) < LEAST_CHARACTERS:
        return f"a password has at least {LEAST_CHARACTERS} characters"
    if not password.isprintable():
        return "a password has no control characters"
    if len(_bytes(password)) > MOST_BYTES:
        return f"a password has at most {MOST_BYTES} bytes"
    return ""


def hashed(password: str) -> str:
    """A hash to be stored, another one each time."""
    return _hasher.hash(_bytes(password))


def is_hash(text: str) -> bool:
    """Whether it is a hash as `hashed` makes them."""
    return text.startswith("$argon2id$") and text.isascii() and len(text) <= 512


def is_legacy(stored: str) -> bool:
    """Whether it is the original's form: to be replaced when its password is next given."""
    return not stored.startswith("$argon2")


def matches(stored: str, password: str) -> bool:
    """Whether the password has this hash; it takes as long whatever the answer is.

    With a hash of the original's form, or none ('') as for an account that does not exist, it takes as long
    as with one of ours.
    """
    if not is_legacy(stored):
        return _verified(stored, password)
    _verified(NO_PASSWORDS_HASH, password)
    return hmac.compare_digest(legacy_hash(password).encode(), _bytes(stored))


def is_published(uid: str, password: str) -> bool:
    """The account and password that every installation of the original has."""
    return uid == SEEDED_UID and password == _SEEDED_PASSWORD


def legacy_hash(password: str) -> str:
    """The original's: SHA-1 in URL-safe Base64 with padding."""
    digest = hashlib.sha1(_bytes(password), usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(digest).decode()


def _verified(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, _bytes(password))
    except (VerificationError, InvalidHashError, ValueError):
        return False


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
