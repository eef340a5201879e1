"""What a trusted caller sent that is no event becomes a row; what it means is `steps.records`' business."""

from collections.abc import Mapping
from typing import Any

from tracker.events import Entry, Identity
from tracker.metrics import Metrics
from tracker.pipeline.prepared import Prepared, counted
from tracker.pipeline.settings import PipelineSettings
from tracker.steps.merge import merge
from tracker.steps.privacy import open_documents, take_person
from tracker.steps.records import RecordSettings, make_record


class RecordPreparer:
    """Works records out, without waiting for anything."""

    def __init__(self, settings: PipelineSettings, metrics: Metrics) -> None:
        keep_ip = not settings.use_remove_ip
        self._rules = RecordSettings(settings.id_namespace, keep_ip, settings.ip_hash_key)
        self._settings = settings
        self._metrics = metrics

    def prepare(self, kind: str, values: Mapping[str, Any], now: float) -> Prepared:
        """A log, update, count or org. Raises BadHit, for any other kind too."""
        merged = merge(values)
        open_documents(merged, self._settings.max_depth)
        take_person(merged, self._settings.prefix_private_hash)
        record = make_record(kind, merged, self._rules, now)
        identity = Identity(eid=record.id, vid="", sid="", is_new=False)
        faults = counted(record.faults, self._metrics)
        return Prepared(identity, Entry((record.row,), record.client_id), faults)
