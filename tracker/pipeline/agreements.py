"""What a visitor agreed to becomes rows; what an agreement means is `steps.agreements`' business."""

from collections.abc import Mapping
from typing import Any

from tracker.errors import BadHit
from tracker.events import Entry, Hit, Identity, Values
from tracker.pipeline.prepared import Prepared, not_stored
from tracker.pipeline.protecting import Forgotten, Protector
from tracker.pipeline.settings import PipelineSettings
from tracker.steps.agreements import Agreement, AgreementRules
from tracker.steps.merge import gather
from tracker.steps.own_address import names_sender, without_address
from tracker.steps.places import Geo
from tracker.steps.privacy import take_person
from tracker.steps.protect import FORGOTTEN
from tracker.steps.residency import NOWHERE, Home, at_home
from tracker.steps.surroundings import surroundings
from tracker.steps.urls import Shorten


class AgreementPreparer:
    """Works agreements out, without waiting for anything."""

    def __init__(
        self,
        settings: PipelineSettings,
        shorten: Shorten,
        geo: Geo,
        protector: Protector | None,
        forgotten: Forgotten | None,
    ) -> None:
        self._settings = settings
        self._rules = AgreementRules(settings.id_namespace, shorten)
        self._geo = geo
        self._protector = protector
        self._forgotten = forgotten

    def prepare(self, hit: Hit, key: str) -> tuple[Prepared, dict[str, Any]]:
        """As `Pipeline.prepare_agreement`."""
        envelope = hit.envelope
        made = self._made(hit, gather(envelope, hit.body), key)
        if self._settings.use_remove_ip and names_sender(made.rows, envelope):
            made = self._made(hit, without_address(gather(envelope, hit.body), envelope.ip), key)
        if self._forgotten and self._forgotten.withholds(made.current, hit.received_at):
            told = {name: made.current[name] for name in ("created_at", "vid")}
            return not_stored(told, FORGOTTEN), made.current
        identity = Identity(made.id, made.visitor, "", False)
        rows = at_home(made.rows, self._home(made.current))
        return Prepared(identity, Entry(rows, made.client_id), ()), made.current

    def _home(self, row: Mapping[str, Any]) -> Home | None:
        """Where it may go. Raises BadHit where nowhere: without its visitor an agreement says nothing."""
        home = self._protector.home(row) if self._protector else None
        if home is not None and not home.sinks:
            raise BadHit(NOWHERE, "residency")
        return home

    def _made(self, hit: Hit, values: Values, key: str) -> Agreement:
        """The agreement of merged values, which are used up."""
        settings, envelope = self._settings, hit.envelope
        take_person(values, settings.prefix_private_hash)
        columns = surroundings(envelope, keep_ip=not settings.use_remove_ip, ip_key=settings.ip_hash_key)
        return self._rules.make(values, columns, self._geo(envelope.ip), hit.received_at, key)
