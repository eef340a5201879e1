"""What the `Privacy` section asks for, put together: who decides, and the keys of hashes.

Keys that are made here lie in `Privacy.KeyFolder`, else in a folder of the spool's.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from tracker.agreed import Agreed, Agreements
from tracker.config import Config
from tracker.keys_on_disk import DayKeys, kept_key
from tracker.pipeline import Protection
from tracker.settings import guard_of, residency_of

IP_KEY = "iphash.key"
DAY_SECONDS = 86_400


def key_folder(config: Config) -> Path:
    """Where keys lie that were made here."""
    return config.privacy.key_folder or config.spool.path / "keys"


class Safeguards:
    """The guard and the keys of one running server. Raises OSError where a key cannot be kept."""

    def __init__(self, config: Config, agreements: Agreements, now: Callable[[], float]) -> None:
        guard = guard_of(config)
        self._now = now
        self._days = DayKeys(key_folder(config))
        self._turning: asyncio.Task[None] | None = None
        self.ip_key = _ip_key(config)
        agreed = Agreed(agreements) if config.privacy.use_stored_agreements else None
        self.protection = (
            Protection(guard, self._days.current, agreed, residency_of(config)) if guard else None
        )

    def start(self) -> None:
        """Destroy the keys of days that are over, now and at the end of each day."""
        if self.protection is None:
            self._days.destroy_past(self._now())
        else:
            self._turning = asyncio.create_task(self._turn())

    async def stop(self) -> None:
        """Let the day's key lie. Safe twice and before `start`."""
        if self._turning is not None:
            self._turning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._turning

    async def _turn(self) -> None:
        while True:
            now = self._now()
            self._days.current(now)
            await asyncio.sleep(DAY_SECONDS - now % DAY_SECONDS)


def _ip_key(config: Config) -> bytes:
    if config.privacy.ip_hash == "original":
        return b""
    return config.privacy.ip_hash_key.encode() or kept_key(key_folder(config), IP_KEY)
