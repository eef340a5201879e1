"""The places of addresses as the pipeline asks for them: remembered, never failing, files may change.

Files are looked at every few seconds on a thread of their own; a lookup never waits for that.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tracker.events import Place
from tracker.geo.opening import READ_ERRORS, Database, Unusable, open_database
from tracker.metrics import Metrics

_log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""How often the files are looked at."""
REMEMBERED = 20_000
"""Addresses whose place is remembered; about 6 MB."""
Mark = tuple[int, int, int, int]
"""What changes when a file is replaced or rewritten."""


@dataclass(slots=True)
class _Watched:
    path: Path
    mark: Mark | None = None
    """Of the file that was tried last."""
    was_looked_at: bool = False
    database: Database | None = None


class GeoIP:
    """Places from one or several databases, asked in order. For one thread, the event loop's."""

    def __init__(
        self, paths: Sequence[Path], metrics: Metrics | None = None, look_seconds: float = LOOK_SECONDS
    ) -> None:
        self._files = [_Watched(path) for path in paths]
        self._metrics = metrics
        self._look_seconds = look_seconds
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="geo")
        self._watching: asyncio.Task[None] | None = None
        self._remembered = lru_cache(maxsize=REMEMBERED)(self._find)

    @property
    def is_ready(self) -> bool:
        """Whether any database is there."""
        return any(file.database for file in self._files)

    def place(self, ip: str) -> Place | None:
        """The place of an address; None when that is unknown, no public address, or no address at all."""
        return self._remembered(ip)

    async def start(self) -> None:
        """Read the databases, and look after them from then on. A file that cannot be read is said in the
        log, and read once it can be.
        """
        await self._look()
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Look no more, let go of everything; `place` knows nothing from then on. Safe twice, and without
        `start`."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait((self._watching,))
            self._watching = None
        self._executor.shutdown(wait=False)
        for file in self._files:
            self._put(file, None)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            try:
                await self._look()
            except Exception:  # nobody awaits this task: a bug must show up here or nowhere
                _log.exception("looking after address databases failed")

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        for file in self._files:
            mark = await loop.run_in_executor(self._executor, _mark_of, file.path)
            if file.was_looked_at and mark == file.mark:
                continue
            file.was_looked_at, file.mark = True, mark
            await self._load(file)

    async def _load(self, file: _Watched) -> None:
        loop = asyncio.get_running_loop()
        try:
            database = await loop.run_in_executor(self._executor, open_database, file.path)
        except Unusable as problem:
            then = (
                "the one before stays in use" if file.database else "no places from it until it can be read"
            )
            _log.warning("address database: %s", then, extra={"fields": {"reason": str(problem)}})
            self._count("failed")
            return
        self._put(file, database)
        self._count("loaded")
        fields = {"file": str(file.path), "kind": database.kind}
        _log.info("address database read", extra={"fields": fields})

    def _put(self, file: _Watched, database: Database | None) -> None:
        before, file.database = file.database, database
        self._remembered.cache_clear()
        if before is not None:
            before.close()

    def _count(self, outcome: str) -> None:
        if self._metrics is not None:
            self._metrics.geo_loads.labels(outcome).inc()

    def _find(self, ip: str) -> Place | None:
        address = _public(ip)
        if address is None:
            return None
        for file in self._files:
            if file.database is None:
                continue
            try:
                if place := file.database.find(address):
                    return place
            except READ_ERRORS:
                if self._metrics is not None:
                    self._metrics.geo_lookup_failures.inc()
        return None


def _public(ip: str) -> str | None:
    """The canonical text of a public address, also of one that is mapped to IPv6; None of any other."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    known = mapped or address
    return str(known) if known.is_global and not known.is_multicast else None


def _mark_of(path: Path) -> Mark | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
