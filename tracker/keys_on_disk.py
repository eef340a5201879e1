"""Secret keys in files: one that stays, and one for each UTC day that is destroyed after it.

Files are for their owner only (0600) and on disk before a key is used. Collectors that share the folder share
the keys. Overwriting destroys what the file system keeps in place; a copy-on-write file system, a snapshot or
a backup keeps its own copy, so the folder belongs in neither.
"""

import contextlib
import logging
import os
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

_log = logging.getLogger(__name__)

KEY_BYTES = 32
_is_of_a_day = re.compile(r"day-[0-9]{4}-[0-9]{2}-[0-9]{2}\.key(\.[0-9a-f]+\.new)?").fullmatch


def kept_key(folder: Path, name: str) -> bytes:
    """The key in `folder / name`, made now if it is not there. Raises OSError.

    Of several processes that make it at once, all have the same one afterwards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    while True:
        with contextlib.suppress(FileNotFoundError):
            key = path.read_bytes()
            if len(key) == KEY_BYTES:
                return key
            raise OSError(f"{path}: is no key: it should have {KEY_BYTES} bytes and has {len(key)}")
        _make(path)


def _make(path: Path) -> None:
    """Put a new key there whole, unless one has come meanwhile."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    opened = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(opened, secrets.token_bytes(KEY_BYTES))
        os.fsync(opened)
    finally:
        os.close(opened)
    with contextlib.suppress(FileExistsError):
        os.link(new, path)
    new.unlink()
    _sync_folder(path.parent)


def destroy(path: Path) -> None:
    """Overwrite a key and remove its file. Raises OSError; a file that is gone is none."""
    try:
        with path.open("r+b") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    except FileNotFoundError:
        return
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _day_of(now: float) -> str:
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}"


class DayKeys:
    """The key of the current UTC day; those of days before are destroyed as soon as it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._day = ""
        self._key = b""

    def current(self, now: float) -> bytes:
        """The key of the day of `now` (Unix seconds). Time that runs backwards brings no older key back.

        Never raises: where the disk refuses, the key lives in memory only, and the next start has another.
        """
        day = _day_of(now)
        if day > self._day:
            self._turn_to(day)
        return self._key

    def _turn_to(self, day: str) -> None:
        try:
            self._key = kept_key(self._folder, f"day-{day}.key")
        except OSError as error:
            _log.error(
                "the day's key is not on disk",
                extra={"fields": {"folder": str(self._folder), "error": str(error)}},
            )
            self._key = secrets.token_bytes(KEY_BYTES)
        self._day = day
        self._destroy_before(f"day-{day}")

    def destroy_past(self, now: float) -> None:
        """Destroy the keys of days before that of `now`, without making one. Never raises."""
        self._destroy_before(f"day-{_day_of(now)}")

    def _destroy_before(self, current: str) -> None:
        for path in self._folder.glob("day-*"):
            if path.name[: len(current)] >= current or not _is_of_a_day(path.name):
                continue
            try:
                destroy(path)
            except OSError as error:
                _log.error(
                    "a past day's key is still there",
                    extra={"fields": {"file": path.name, "error": str(error)}},
                )
