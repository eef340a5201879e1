"""Clients that remember: each writes what it is about to send and what was acknowledged in files of its own.

One client has one way of sending: a request for each event, batches, or a WebSocket with acknowledgements.
What was not acknowledged is sent again half of the time, as a real client would. What the files mean is
`judge`'s.
"""

import asyncio
import contextlib
import json
import random
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Any, ClassVar, Protocol, Self
from urllib.parse import urlencode

import aiohttp

from tests.reliability.judge import Ledger, content_hash, entry
from tests.support.sabotage import POISON

PATH = "/tr/v1/tr/"
TRANSPORTS = ("single", "url", "batch", "socket")
MANY = ("batch", "payments")
"""Transports of several in a request."""
ENDED = (OSError, aiohttp.ClientError, asyncio.TimeoutError)
"""What a client sees of a server that was killed."""


class Sent(Protocol):
    """Something that a client sends."""

    @property
    def body(self) -> Mapping[str, Any]:
        """The JSON object."""

    @property
    def line(self) -> str:
        """Its entries in a client's file, see `judge.entry`."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it is sent, with what must be found in the store."""

    body: dict[str, Any]
    is_poison: bool = False

    @property
    def eid(self) -> str:
        """Its id, a UUID."""
        return str(self.body["eid"])

    @property
    def line(self) -> str:
        """Its entry in a client's file."""
        params = {name: value for name, value in self.body.items() if name not in ("eid", "ename", "vid")}
        return entry(self.eid, content_hash(self.body["ename"], params), is_poison=self.is_poison)


@dataclass
class Client:
    """One sender; `pause` is the longest wait between two requests, in seconds."""

    name: str
    transport: str
    url: str
    folder: Path
    chance: random.Random
    batch_rows: int = 50
    pause: float = 0.02
    poison_wanted: int = 0
    is_sent_again: ClassVar[bool] = True
    """Sending the same once more changes nothing."""
    _sent: IO[str] = field(init=False)
    _acknowledged: IO[str] = field(init=False)
    _again: list[Sent] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        ledger = Ledger.of(self.folder, self.name)
        self._sent = ledger.sent.open("a", encoding="utf-8")
        self._acknowledged = ledger.acknowledged.open("a", encoding="utf-8")

    async def run(self) -> None:
        """Send for ever; ends by being cancelled."""
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(self.url, timeout=timeout) as session:
            while True:
                try:
                    await self._send_some(session)
                except ENDED:
                    await asyncio.sleep(0.05)

    def close(self) -> None:
        """Let go of the files."""
        self._sent.close()
        self._acknowledged.close()

    async def _send_some(self, session: aiohttp.ClientSession) -> None:
        if self.transport == "socket":
            await self._talk(session)
            return
        sent = self._next(self.batch_rows if self.transport in MANY else 1)
        with self._remembered(sent):
            self._store(sent, await self.request(session, sent))
        await asyncio.sleep(self.chance.uniform(0, self.pause))

    async def request(self, session: aiohttp.ClientSession, sent: Sequence[Sent]) -> bool:
        """One request; whether all of it was acknowledged."""
        bodies = [one.body for one in sent]
        match self.transport:
            case "url":
                call = session.get(f"{PATH}?{urlencode(bodies[0])}")
            case "single":
                call = session.post(PATH, data=json.dumps(bodies[0]))
            case _:
                call = session.post(PATH, data=json.dumps(bodies))
        async with call as answer:
            await answer.read()
            return answer.status == 200

    async def _talk(self, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect("/tr/v1/ws?ack=1") as socket:
            while True:
                events = self._next(self.batch_rows // 5)
                with self._remembered(events):
                    await socket.send_str(json.dumps([event.body for event in events]))
                    told = json.loads(await socket.receive_str(timeout=10))
                    self._store(events, told["accepted"] == len(events) and not told.get("error"))
                await asyncio.sleep(self.chance.uniform(0, self.pause))

    def _store(self, events: Sequence[Sent], is_acknowledged: bool) -> None:
        if not is_acknowledged:
            raise ConnectionError("refused: not acknowledged")
        self._acknowledged.writelines(event.line for event in events)
        self._acknowledged.flush()

    @contextlib.contextmanager
    def _remembered(self, events: Sequence[Sent]) -> Iterator[None]:
        self._sent.writelines(event.line for event in events)
        self._sent.flush()
        try:
            yield
        except (*ENDED, TypeError, ValueError):  # a socket that closed answers with something that is no text
            if self.is_sent_again and self.chance.random() < 0.5:
                self._again = list(events)
            raise ConnectionError("broken off") from None

    def _next(self, count: int) -> list[Sent]:
        if self._again:
            events, self._again = self._again, []
            return events
        events = [self.made() for _ in range(count)]
        if self.poison_wanted:
            self.poison_wanted -= 1
            events[-1] = self._event(is_poison=True)
        return events

    def made(self) -> Sent:
        """The next thing to send."""
        return self._event()

    def _event(self, *, is_poison: bool = False) -> Event:
        chance = self.chance
        body: dict[str, Any] = {
            "eid": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "ename": POISON.decode().lower() if is_poison else "load",
            "word": POISON.decode() if is_poison else chance.choice(("αβγ", "x" * 200, "a b", '"\\')),
        }
        if chance.random() < 0.9:
            body["vid"] = f"visitor-{chance.randrange(1000)}"
        if self.transport != "url":
            body["number"] = chance.randrange(-(2**62), 2**62)
            body["deep"] = {"list": [1, None, 1.5, {"Key": True}], "text": chance.choice(("", "Ünï", "☃"))}
        return Event(body, is_poison)


class Clients:
    """Clients on an event loop in a thread of their own, from `with` to its end."""

    def __init__(
        self,
        url: str,
        folder: Path,
        seed: int,
        transports: Sequence[str],
        batch_rows: int,
        others: "Mapping[str, Callable[..., Client]]" = MappingProxyType({}),
    ) -> None:
        """`others` makes the clients of transports that send no events."""
        self.folder = folder
        self._clients = [
            others.get(transport, Client)(
                f"{number}-{transport}", transport, url, folder, random.Random(f"{seed} {number}"), batch_rows
            )
            for number, transport in enumerate(transports)
        ]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="clients")
        self.failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def poison(self) -> None:
        """Have each send one event that the sabotaged store refuses."""
        for client in self._clients:
            client.poison_wanted += client.transport == "batch"

    def stop(self) -> None:
        """End them all; what they remember is in their files. Safe twice. Raises what made one fail."""
        self._stop.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    async def _run(self) -> None:
        tasks = [asyncio.create_task(client.run()) for client in self._clients]
        stopped = asyncio.create_task(asyncio.to_thread(self._stop.wait))
        await asyncio.wait((stopped, *tasks), return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                self.failure = outcome
                self._stop.set()
        for client in self._clients:
            client.close()
