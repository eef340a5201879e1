"""/.well-known/gpc.json: whether this server abides by Global Privacy Control, for whoever asks."""

from aiohttp import web

from tracker.clock import date_text
from tracker.web.answers import Answer, json_answer
from tracker.web.ports import Now
from tracker.web.requests import RequestReader

PATH = ".well-known/gpc.json"


class GpcStatement:
    """The statement; it is as old as the configuration that runs."""

    def __init__(self, reader: RequestReader, now: Now, *, is_honoured: bool) -> None:
        self._reader = reader
        self._statement = {"gpc": is_honoured, "lastUpdate": date_text(now())}

    async def answer(self, request: web.BaseRequest) -> Answer:
        """The statement as JSON."""
        return json_answer(200, self._statement, self._reader.surroundings(request).cors)
