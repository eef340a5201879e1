"""Accounts: whether credentials open one, and what it may do; who made them is the command's business.

A wrong password, an account that does not exist, one that has expired or was disabled: all get the same
answer in the same time. A check costs tens of milliseconds of a core, so few run at once, and one that went
well is remembered for a minute, by a keyed hash that no other process can make.
"""

import asyncio
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from tracker.clock import timestamp_text
from tracker.errors import Denied, LockedOut, TrackerError
from tracker.records import passwords
from tracker.records.attempts import Attempts
from tracker.records.bounded import Bounded
from tracker.records.lookup import Lookup
from tracker.records.ports import Row
from tracker.tables import EPOCH, ZERO_UUID
from tracker.tuning import stay_in_background

log = logging.getLogger(__name__)

THREADS = 2
"""Checks at once."""
MOST_WAITING = 32
"""Checks that wait for them; who comes then is told to come again, unless it was let in there before."""
Renew = Callable[[Row, str], Awaitable[None]]
"""Replaces a row's hash, unless the row has changed. Raises TrackerError."""

DENIED_SECONDS = 0.25
"""How long a refusal takes at least."""
REMEMBERED_SECONDS = 60.0
"""How long credentials that were right are not hashed again."""
_MOST_REMEMBERED = 1000
_ENTRY_BYTES = 200


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks, and what it may do."""

    uid: str
    """Hyphenated, lower case."""
    hosts: frozenset[str]
    """Hosts whose links it may write and list: lower case, without port, in the form with xn--."""
    is_admin: bool
    """Every host, and what is private."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A check that went well: with this row, until then."""

    pwd: str
    until: float


class Accounts:
    """Checks credentials against the accounts of a lookup; `renew` replaces the hash of a row.

    `now` gives Unix seconds.
    """

    def __init__(
        self,
        lookup: Lookup,
        renew: Renew,
        now: Callable[[], float],
        *,
        denied_seconds: float = DENIED_SECONDS,
    ) -> None:
        self._lookup = lookup
        self._renew = renew
        self._now = now
        self._denied_seconds = denied_seconds
        self._attempts = Attempts()
        self._key = secrets.token_bytes(32)
        self._opened: Bounded[bytes, _Opened] = Bounded(_MOST_REMEMBERED, _MOST_REMEMBERED * _ENTRY_BYTES)
        self._checking: dict[tuple[bytes, str], asyncio.Task[bool]] = {}
        self._threads = ThreadPoolExecutor(THREADS, "password", initializer=stay_in_background)

    async def check(self, uid_text: str, password: str, address: str) -> Account:
        """The account that these credentials open.

        Raises Denied, LockedOut, and RecordsUnavailable when it cannot be known whether there is one.
        """
        until = asyncio.get_running_loop().time() + self._denied_seconds
        try:
            return await self._checked(uid_text, password, address)
        except Denied:
            # Whether the account was in memory or had to be asked for must not show either.
            await asyncio.sleep(until - asyncio.get_running_loop().time())
            raise

    async def _checked(self, uid_text: str, password: str, address: str) -> Account:
        uid = _canonical(uid_text)
        row = await self._lookup.get(uid) if uid else None
        mark = self._mark(uid_text, password)
        known = self._opened.look(mark)
        if row is None or known is None or known.pwd != row["pwd"] or known.until < self._now():
            await self._check_now(mark, uid or uid_text[:100], row, password, address)
        if row is None or not is_open(row, self._now()) or passwords.is_published(uid, password):
            raise Denied
        return account_of(row)

    def close(self) -> None:
        """Let go of the threads. Safe twice."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _check_now(self, mark: bytes, uid: str, row: Row | None, password: str, address: str) -> None:
        """Raises Denied when the password is not the row's; equal credentials at once are checked once."""
        wait = self._attempts.wait(uid, address, self._now())
        if wait > 0:
            raise LockedOut(int(wait) + 1)
        flight = (mark, str(row["pwd"]) if row else "")
        checking = self._checking.get(flight)
        if checking is None:
            is_trusted = self._attempts.is_trusted(uid, address, self._now())
            if len(self._checking) >= MOST_WAITING and not is_trusted:
                raise LockedOut(1)
            # Until it is known they count as wrong: else many at once would all be looked at.
            self._attempts.failed(uid, address, self._now())
            checking = asyncio.create_task(self._judge(mark, uid, row, password, address))
            self._checking[flight] = checking
            checking.add_done_callback(lambda _: self._checking.pop(flight, None))
        if not await asyncio.shield(checking):
            raise Denied

    async def _judge(self, mark: bytes, uid: str, row: Row | None, password: str, address: str) -> bool:
        is_right = await self._matches(mark, row, password)
        if is_right:
            self._attempts.succeeded(uid, address, self._now())
        return is_right

    async def _matches(self, mark: bytes, row: Row | None, password: str) -> bool:
        stored = str(row["pwd"]) if row else ""
        is_right = await self._in_thread(partial(passwords.matches, stored, password))
        if not is_right or row is None or not is_open(row, self._now()):
            return False
        if passwords.is_published(str(row["uid"]), password):
            return False
        if passwords.is_legacy(stored):
            await self._replace(row, password)
        else:
            self._opened.keep(mark, _Opened(stored, self._now() + REMEMBERED_SECONDS), _ENTRY_BYTES)
        return True

    async def _replace(self, row: Row, password: str) -> None:
        """Replace the original's hash; when that cannot be stored now, the next check tries it again."""
        pwd = await self._in_thread(partial(passwords.hashed, password))
        try:
            await self._renew(row, pwd)
        except TrackerError:
            log.warning("an account's old password hash could not be replaced now")

    async def _in_thread(self, call: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _mark(self, uid: str, password: str) -> bytes:
        said = f"{len(uid)}:{uid}{password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, said, "sha256")


def is_open(row: Row, now: float) -> bool:
    """Neither expired nor disabled."""
    creds = row["creds"]
    is_disabled = not isinstance(creds, dict) or bool(creds.get("disabled"))
    expires = str(row["expires"])
    return not is_disabled and (expires == EPOCH or expires > timestamp_text(now))


def account_of(row: Row) -> Account:
    """What a row says an account may do."""
    creds = row["creds"] if isinstance(row["creds"], dict) else {}
    hosts = creds.get("hosts")
    named = frozenset(str(host) for host in hosts) if isinstance(hosts, list) else frozenset[str]()
    return Account(str(row["uid"]), named, creds.get("admin") is True)


def _canonical(text: str) -> str:
    """The UUID as rows have it, '' for what is none."""
    try:
        uid = str(UUID(text)) if len(text) <= 64 else ""
    except ValueError:
        return ""
    return "" if uid == ZERO_UUID else uid
