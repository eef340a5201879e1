"""The spool's file itself, for commands while no server runs; its lock keeps a second process out."""

from collections.abc import Iterator
from contextlib import contextmanager

from tracker import clock
from tracker.batching.spool import Spool
from tracker.batching.spool_values import KeptDead
from tracker.batching.tools import SpoolTools
from tracker.config import Config
from tracker.errors import TrackerError


@contextmanager
def local_spool(config: Config) -> Iterator[SpoolTools]:
    """Tools on the configured spool. Raises TrackerError when there is none or another process has it."""
    settings = config.spool
    if not settings.path.is_dir():
        raise TrackerError(f"there is no spool at {settings.path}: the server makes it when it first runs")
    spool = open_spool(config)
    try:
        yield SpoolTools(spool, clock.now)
    finally:
        spool.close()


def open_spool(config: Config) -> Spool:
    """The configured spool, made when there is none. Raises TrackerError."""
    settings = config.spool
    return Spool.open(
        settings.path,
        durability=settings.durability,
        max_bytes=settings.max_bytes,
        remember_ids=settings.remember_ids,
        remember_for_seconds=settings.remember_for_seconds,
        dead_letters=KeptDead(settings.dead_letters_max_bytes, settings.dead_letters_max_age_seconds),
    )
