"""The configuration: read from config.json, the environment and flags, checked once, frozen."""

from tracker.config.batching import BatchSettings
from tracker.config.clickhouse import database, endpoints, is_embedded, is_tls
from tracker.config.keys import KnownKey, known_keys
from tracker.config.loading import Loaded, load
from tracker.config.model import Config
from tracker.config.notyet import NOT_YET, REPLACED, is_named
from tracker.config.printing import masked
from tracker.config.services import Service
from tracker.config.values import Listen

__all__ = [
    "NOT_YET",
    "REPLACED",
    "BatchSettings",
    "Config",
    "KnownKey",
    "Listen",
    "Loaded",
    "Service",
    "database",
    "endpoints",
    "is_embedded",
    "is_named",
    "is_tls",
    "known_keys",
    "load",
    "masked",
]
