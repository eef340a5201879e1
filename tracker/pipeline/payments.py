"""What was said about payments becomes rows; what a payment means is `steps.payments`' business."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from tracker import clock
from tracker.errors import BadHit
from tracker.events import Entry, Envelope, Identity, Row, Values
from tracker.metrics import Metrics
from tracker.pipeline.prepared import Prepared, counted, not_stored
from tracker.pipeline.protecting import Forgotten, Protector, Ruling
from tracker.pipeline.settings import PipelineSettings
from tracker.steps.own_address import names_sender, without_address
from tracker.steps.payment_rules import payment_rules
from tracker.steps.payments import Payment, PaymentSettings, Sent, payments_in, prepare_payments
from tracker.steps.places import Geo
from tracker.steps.protect import FORGOTTEN
from tracker.steps.residency import at_home


class PaymentPreparer:
    """Works payments out, without waiting for anything."""

    def __init__(
        self,
        settings: PipelineSettings,
        metrics: Metrics,
        geo: Geo,
        protector: Protector | None,
        forgotten: Forgotten | None,
    ) -> None:
        rules = payment_rules(settings.id_namespace)
        self._settings = PaymentSettings(rules, settings.prefix_private_hash, settings.max_depth)
        self._use_remove_ip = settings.use_remove_ip
        self._metrics = metrics
        self._geo = geo
        self._protector = protector
        self._forgotten = forgotten

    def told_apart(self, envelope: Envelope, values: Values, key: str) -> Sent:
        """As `Pipeline.payments_in`."""
        text = Row("payments", json.dumps(values, default=str).encode())
        if self._use_remove_ip and names_sender((text,), envelope):
            values = without_address(values, envelope.ip)
        return payments_in(values, key, self._settings.max_depth)

    def prepare(
        self, envelope: Envelope, sent: Sent, said: Mapping[str, Any], now: float
    ) -> Iterator[Prepared | BadHit]:
        """As `Pipeline.prepare_payments`."""
        decide = partial(self._rule, self._protector, envelope) if self._protector else None
        for made in prepare_payments(envelope, sent, said, self._settings, now, decide):
            yield made if isinstance(made, BadHit) else self._prepared(made, now)

    def _prepared(self, made: Payment, now: float) -> Prepared:
        if self._is_forgotten(made.row, now):
            return not_stored({"created_at": clock.timestamp_text(now), "vid": made.vid}, FORGOTTEN)
        identity = Identity(made.id, made.vid, made.sid, is_new=False)
        entry, faults = Entry(at_home((made.row,), made.home)), counted(made.faults, self._metrics)
        return Prepared(identity, entry, faults, decision=made.decision)

    def _is_forgotten(self, row: Row, now: float) -> bool:
        forgotten = self._forgotten
        if forgotten is None or not forgotten.is_active:
            return False
        return forgotten.withholds(json.loads(row.line), now)

    def _rule(self, protector: Protector, envelope: Envelope, row: Mapping[str, Any], said: Values) -> Ruling:
        """A payment names its country itself, or was made where it came from. Raises BadHit."""
        country, region = str(row.get("country", "")).upper(), str(row.get("region", "")).lower()
        if not country and (place := self._geo(envelope.ip)):
            country, region = place.country, place.region.lower()
        return protector.rule(envelope, said, {**row, "country": country, "region": region})
