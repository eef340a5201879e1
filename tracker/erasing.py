"""Erasing and exporting persons over the configured spool and stores: wiring for server and command."""

from collections.abc import Callable, Mapping
from functools import partial

from tracker import clock
from tracker.batching.person_rows import SpoolPersons
from tracker.batching.receipts import Receipts
from tracker.batching.running import Run, directly
from tracker.batching.spool import Spool
from tracker.config import Config
from tracker.keys_on_disk import kept_key
from tracker.persons.asked import Naming
from tracker.persons.forgotten import Forgotten
from tracker.persons.procedure import Places, Procedure
from tracker.protection import key_folder
from tracker.settings import pipeline_settings, sink_settings
from tracker.sinks.base import Sink
from tracker.sinks.erasing import eraser
from tracker.sinks.registry import ERASERS
from tracker.tables.persons import Person

KEY = "persons.key"


def forgotten_of(config: Config) -> Forgotten:
    """Who was forgotten, nobody yet; the key stays beside the other ones. Raises OSError."""
    return Forgotten(kept_key(key_folder(config), KEY))


def procedure_of(
    config: Config,
    spool: Spool,
    sinks: Mapping[str, Sink],
    forgotten: Forgotten,
    write: Run = directly,
    read: Run = directly,
    erased: Callable[[Person], None] = lambda _: None,
) -> Procedure:
    """What erases persons; `sinks` are those that this process has open, by name; `erased` as `Procedure`."""
    stores = {
        service.name: partial(eraser, sink_settings(config, service), sinks.get(service.name))
        for service in config.sinks
        if service.service in ERASERS
    }
    settings = pipeline_settings(config)
    return Procedure(
        Places(SpoolPersons(spool, write, read), stores),
        Receipts(config.spool.path),
        forgotten,
        Naming(settings.id_namespace, settings.prefix_private_hash),
        clock.now,
        config.privacy.forgotten_for_seconds,
        erased,
    )
