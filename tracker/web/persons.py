"""A person's erasure and export over HTTP, for administrators: POST /tr/v1/ppi/forget and /tr/v1/ppi/export.

Who is meant stands in the body, never in the address: addresses are written into logs. The work is the
procedure's (`tracker.persons`); the same over the control socket is control_persons.py's.
"""

from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager

import orjson
from aiohttp import web

from tracker.errors import BadHit, CannotStore, TooLarge, TrackerError
from tracker.events import Values
from tracker.web.answers import NO_STORE, Answer, header_lines, json_answer
from tracker.web.control_services import Persons
from tracker.web.credentials import Credentials, Refused
from tracker.web.documents import one_object
from tracker.web.ports import Handler
from tracker.web.tracking import TrackingParts

PATIENCE_SECONDS = 5.0
"""An erasure that takes longer is answered 202, with the receipt by which it is asked for again."""
MOST_BYTES = 64 * 1024 * 1024
"""Of an export over HTTP; a larger one is the command's."""
ONLY_ADMIN = "only an account made with --admin may do this"
_LINES = header_lines(("Content-Type", "application/x-ndjson"))


class PersonAnswers:
    """The handlers. What `Credentials` raises, goes on."""

    def __init__(self, parts: TrackingParts, credentials: Credentials, persons: Persons) -> None:
        self._parts = parts
        self._credentials = credentials
        self._persons = persons

    def actions(self) -> Mapping[str, Mapping[str, Handler]]:
        """By the last word of the path."""
        return {"forget": {"POST": self.forget}, "export": {"POST": self.export}}

    async def forget(self, request: web.BaseRequest) -> Answer:
        """Erase, or with `receipt` tell how far it is: 200 when it is done, 202 while it is not."""
        said = await self._said(request)
        if said.keys() == {"receipt"}:
            with _refused_as_such():
                told = await self._persons.receipt(str(said["receipt"]))
            if told is None:
                return json_answer(404, {"error": "no such receipt"}, self._cors(request))
        else:
            with _refused_as_such():
                told = await self._persons.forget(said, patience_seconds=PATIENCE_SECONDS)
        return json_answer(202 if told.get("state") == "open" else 200, told, self._cors(request))

    async def export(self, request: web.BaseRequest) -> Answer:
        """Lines of JSON, `place`, `table` and `row` in each; the last one has the counts, as `end`."""
        said = await self._said(request)
        pieces, size = [], 0
        with _refused_as_such():
            async with aclosing(self._persons.export(said)) as parts:
                async for part in parts:
                    piece = part if isinstance(part, bytes) else orjson.dumps({"end": part}) + b"\n"
                    pieces.append(piece)
                    size += len(piece)
                    if size > MOST_BYTES:
                        raise TooLarge(f"over {MOST_BYTES} bytes: `python -m tracker export` writes them all")
        return Answer(200, _LINES + NO_STORE + self._cors(request), b"".join(pieces))

    async def _said(self, request: web.BaseRequest) -> Values:
        account = await self._credentials.account(request)
        if not account.is_admin:
            raise Refused(403, ONLY_ADMIN)
        return await one_object(self._parts.bodies, request, self._parts.limits.max_depth)

    def _cors(self, request: web.BaseRequest) -> bytes:
        return self._parts.reader.surroundings(request).cors


@contextmanager
def _refused_as_such() -> Iterator[None]:
    """Spool or receipts that cannot be read now: the sender may try again."""
    try:
        yield
    except (BadHit, CannotStore):
        raise
    except TrackerError as error:
        raise CannotStore("persons cannot be looked for now", 5) from error
