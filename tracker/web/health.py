"""Routes for operators and probes; none of them touches an event store or tracks anything."""

from aiohttp import web

from tracker.web.addresses import is_within, parse_address
from tracker.web.answers import NO_STORE, TEXT, Answer, header_lines, json_answer, text_answer
from tracker.web.gate import Gate
from tracker.web.ports import HealthSource, ScrapeSource
from tracker.web.requests import RequestReader, query_pairs
from tracker.web.settings import Networks

_CLEAR = header_lines(("Clear-Site-Data", '"*"'))


def wants_prometheus(accept: str, wanted_format: str | None) -> bool:
    """JSON for no Accept, `*/*` or JSON; Prometheus when text or OpenMetrics is named; `format` decides.

    Raises KeyError for a format that is neither.
    """
    if wanted_format is not None:
        return {"json": False, "prometheus": True}[wanted_format]
    asked = accept.lower()
    return "application/json" not in asked and ("text/" in asked or "openmetrics" in asked)


class Health:
    """The handlers of the health routes."""

    def __init__(
        self,
        source: HealthSource,
        scrape: ScrapeSource,
        reader: RequestReader,
        gate: Gate,
        metrics_from: Networks,
    ) -> None:
        self._source = source
        self._scrape = scrape
        self._reader = reader
        self._gate = gate
        self._metrics_from = metrics_from

    async def ping(self, request: web.BaseRequest) -> Answer:
        """Whether anybody answers."""
        return text_answer(200, "pong", self._cors(request))

    async def livez(self, request: web.BaseRequest) -> Answer:
        """Whether the process lives: it does, or nobody would say so."""
        return text_answer(200, "ok", self._cors(request))

    async def readyz(self, request: web.BaseRequest) -> Answer:
        """Whether events can be accepted; 503 names why not."""
        is_ready, why = self._source.ready(self._is_operator(request))
        return json_answer(200 if is_ready else 503, why, self._cors(request))

    async def health(self, request: web.BaseRequest) -> Answer:
        """How the collector is, for people."""
        return json_answer(200, self._source.health(), self._cors(request))

    async def sink_health(self, request: web.BaseRequest) -> Answer:
        """How each sink is."""
        return json_answer(200, self._source.sinks(self._is_operator(request)), self._cors(request))

    async def status(self, request: web.BaseRequest) -> Answer:
        """The caller's own address and how many limited requests are under way."""
        around = self._reader.surroundings(request)
        pairs = (("client", around.ip), ("conns", self._gate.taken))
        return json_answer(200, [{"Key": key, "Value": value} for key, value in pairs], around.cors)

    async def clear(self, request: web.BaseRequest) -> Answer:
        """Have the browser forget what this site stored."""
        return Answer(200, TEXT + NO_STORE + _CLEAR + self._cors(request), b"OK")

    async def metrics(self, request: web.BaseRequest) -> Answer:
        """The metrics, to those who may see them."""
        around = self._reader.surroundings(request)
        if not self._is_operator(request):
            return text_answer(403, "metrics are not for this address (Admin.MetricsFrom)", around.cors)
        accept = request.headers.get("Accept", "")
        try:
            is_text = wants_prometheus(accept, dict(query_pairs(request.raw_path)).get("format"))
        except KeyError:
            return text_answer(400, "format is json or prometheus", around.cors)
        if not is_text:
            return json_answer(200, await self._scrape.as_json(), around.cors)
        body, content_type = await self._scrape.as_prometheus(accept)
        head = header_lines(("Content-Type", content_type)) + NO_STORE + around.cors
        return Answer(200, head, body)

    def _is_operator(self, request: web.BaseRequest) -> bool:
        ip = self._reader.surroundings(request).ip
        return is_within(parse_address(ip), self._metrics_from)

    def _cors(self, request: web.BaseRequest) -> bytes:
        return self._reader.surroundings(request).cors
