"""Several events of one body or frame -> what can be stored, and why the others cannot.

One bad event costs its neighbours nothing. Storing is the caller's business.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from tracker.errors import BadHit
from tracker.events import Envelope, Hit, Identity, Values
from tracker.pipeline import Prepared
from tracker.web.bodies import Many
from tracker.web.ports import EventPipeline, Now

LARGE_BYTES = 256 * 1024
"""Bodies that are larger are worked out one after another: as objects they take many times their bytes."""
SLICE = 100
"""Events worked off before others get their turn."""


@dataclass(slots=True)
class Sorted:
    """What became of a body's events, before anything is stored."""

    prepared: list[Prepared] = field(default_factory=list)
    rejected: list[tuple[int, BadHit]] = field(default_factory=list)
    visitor: Identity | None = None
    """Of the first event that did not name its visitor itself and may be remembered."""

    def answer(self) -> dict[str, Any]:
        """How many were taken, and which not."""
        refused = [{"index": index, "reason": error.reason} for index, error in self.rejected]
        return {"accepted": len(self.prepared), "rejected": refused}


class Intake:
    """Turns bodies into prepared events."""

    def __init__(self, pipeline: EventPipeline, max_depth: int, now: Now) -> None:
        self._pipeline = pipeline
        self._max_depth = max_depth
        self._now = now
        self.turn = asyncio.Lock()
        """Whoever works out what is larger than LARGE_BYTES has it meanwhile."""

    def one(self, envelope: Envelope, values: Values, *, is_new: bool = False) -> Prepared:
        """One event; `is_new` when the visitor id in the envelope was made for it. Raises BadHit."""
        return self._pipeline.prepare(Hit(envelope, values, self._now()), is_new=is_new)

    async def consult(self, envelope: Envelope, bodies: Sequence[object]) -> None:
        """Before events are worked out: wait, where that is asked for, for their visitors' agreements."""
        if self._pipeline.consults:
            await self._pipeline.consult(envelope, bodies)

    async def many(self, envelope: Envelope, events: Many, *, is_new: bool = False) -> Sorted:
        """All events, in slices that leave others their turn.

        Events of a browser that do not name their visitor belong to one and the same; `is_new` when the
        visitor id in the envelope was made for the first of them.
        """
        done = Sorted()
        each = enumerate(events.each(self._max_depth))
        while some := tuple(islice(each, SLICE)):
            await self.consult(envelope, [values for _, values in some])
            for index, values in some:
                try:
                    if isinstance(values, BadHit):
                        raise values
                    is_named = "vid" in values
                    prepared = self.one(envelope, values, is_new=is_new and not is_named)
                except BadHit as error:
                    done.rejected.append((index, error))
                    continue
                done.prepared.append(prepared)
                if done.visitor is None and not is_named and prepared.identity.is_lasting:
                    is_new, done.visitor = False, prepared.identity
                    envelope = of_visitor(envelope, prepared.identity)
            if len(some) == SLICE:
                await asyncio.sleep(0)
        return done


def of_visitor(envelope: Envelope, who: Identity) -> Envelope:
    """The envelope, whose events are this visitor's unless they say otherwise.

    A server's are left alone, and so are those of who is to be known again by nobody.
    """
    if not envelope.is_client or not who.is_lasting:
        return envelope
    return replace(envelope, base={"vid": who.vid, "sid": who.sid, **envelope.base})
