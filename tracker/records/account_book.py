"""Accounts as their administrator sees them: made, listed, given a new password, disabled.

Hashes come ready-made from the command, so that a password leaves it nowhere; nothing here shows them.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import uuid_utils

from tracker.clock import timestamp_text
from tracker.errors import TrackerError
from tracker.records.lookup import Lookup
from tracker.records.passwords import is_legacy
from tracker.records.ports import Row, Save
from tracker.tables import EPOCH

MOST_ACCOUNTS = 10_000
"""That are listed at once."""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What is asked for."""

    pwd: str
    """The hash of its password."""
    hosts: Sequence[str] = ()
    is_admin: bool = False
    expires: str = ""
    """A time as rows have it, '' for never."""
    uid: str = ""
    """'' for a new one."""
    name: str = ""


class AccountBook:
    """Changes the accounts of a lookup; `save` makes a row durable, `now` gives Unix seconds."""

    def __init__(self, lookup: Lookup, save: Save, now: Callable[[], float]) -> None:
        self._lookup = lookup
        self._save = save
        self._now = now
        self._changing = asyncio.Lock()

    async def add(self, account: NewAccount) -> str:
        """Make it; its uid. Raises TrackerError: there is one of this uid, or it cannot be stored now."""
        uid = _uid(account.uid) if account.uid else str(uuid_utils.uuid4())
        if account.uid and await self._lookup.get(uid) is not None:
            raise TrackerError(f"there is an account {uid} already; passwd gives it a new password")
        now = timestamp_text(self._now())
        creds: dict[str, Any] = {"hosts": list(account.hosts), "admin": account.is_admin, "disabled": False}
        await self._save(
            {
                "uid": uid,
                "pwd": account.pwd,
                "msg": account.name,
                "expires": account.expires or EPOCH,
                "creds": creds,
                "created_at": now,
                "updated_at": now,
            }
        )
        return uid

    async def listed(self) -> list[dict[str, Any]]:
        """All accounts in the order in which they were made. Raises RecordsUnavailable."""
        rows = await self._lookup.rows({}, limit=MOST_ACCOUNTS)
        return [_told(row) for row in sorted(rows, key=lambda row: (row["created_at"], row["uid"]))]

    async def passwd(self, uid: str, pwd: str) -> None:
        """Replace its password. Raises TrackerError when there is no such account; else as `add`."""
        async with self._changing:
            await self._change(await self._row(uid), pwd=pwd)

    async def disable(self, uid: str) -> None:
        """From now on nothing opens it. Raises as `passwd` does."""
        async with self._changing:
            row = await self._row(uid)
            creds = row["creds"] if isinstance(row["creds"], dict) else {}
            await self._change(row, creds={**creds, "disabled": True})

    async def renew(self, row: Row, pwd: str) -> None:
        """Give the same password another hash, unless the row is not the current one any more."""
        async with self._changing:
            if await self._lookup.get(row["uid"]) == row:
                await self._change(row, pwd=pwd)

    async def _row(self, uid: str) -> Row:
        row = await self._lookup.get(_uid(uid))
        if row is None:
            raise TrackerError(f"there is no account {uid}")
        return row

    async def _change(self, row: Row, **columns: Any) -> None:
        await self._save({**row, **columns, "updated_at": _after(row["updated_at"], self._now())})


def _after(before: str, now: float) -> str:
    """Now, or a millisecond after the version before when the clock is not ahead of that."""
    text = timestamp_text(now)
    if text > before:
        return text
    moment = datetime.fromisoformat(before).astimezone(UTC) + timedelta(milliseconds=1)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _uid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise TrackerError(f"{text[:64]!r} is no UUID") from None


def _told(row: Row) -> dict[str, Any]:
    creds = row["creds"] if isinstance(row["creds"], dict) else {}
    return {
        "uid": row["uid"],
        "name": row["msg"],
        "hosts": list(creds.get("hosts") or []),
        "admin": creds.get("admin") is True,
        "disabled": bool(creds.get("disabled")),
        "expires": "" if row["expires"] == EPOCH else row["expires"],
        "legacy": is_legacy(row["pwd"]),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }
