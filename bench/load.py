"""A load of its own process: kept-alive connections that send one prepared request each, over and over.

Closed loop by default (the next request follows the answer); with `--rate` an open loop that sends by the
clock and measures each latency from the moment the request was due, so that a stall is not hidden.
Prints one JSON object: answered, refused, seconds, and latency percentiles in milliseconds.
"""

import argparse
import asyncio
import json
import time
from array import array
from collections import deque
from dataclasses import asdict, dataclass
from typing import cast

import uvloop

from bench.payloads import request_bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one load saw."""

    answered: int
    refused: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float

    @property
    def per_second(self) -> float:
        """Requests answered 2xx or 302 a second."""
        return self.answered / self.seconds


class Connection(asyncio.Protocol):
    """One kept-alive connection with at most one request under way."""

    def __init__(self, request: bytes, latencies: "array[float]") -> None:
        self.request = request
        self.latencies = latencies
        self.refused = 0
        self.is_paced = False
        self.is_stopped = False
        self.due: deque[float] = deque()
        self.is_busy = False
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none of asyncio's classes

    def send(self, due: float) -> None:
        """Send now, or as soon as the answer under way has come."""
        if self.is_busy:
            self.due.append(due)
            return
        self.is_busy = True
        self.started = due
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Take the answer when it is whole."""
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self.buffer) < end + 4 + length:
            return
        is_good = self.buffer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 302"))
        self.buffer = self.buffer[end + 4 + length :]
        self._answered(is_good)

    def _answered(self, is_good: bool) -> None:
        now = time.perf_counter()
        if is_good:
            self.latencies.append(now - self.started)
        else:
            self.refused += 1
        self.is_busy = False
        if self.is_stopped:
            return
        if self.due:
            self.send(self.due.popleft())
        elif not self.is_paced:
            self.send(now)


async def _pace(connections: list[Connection], rate: float, until: float) -> None:
    due, turn = time.perf_counter(), 0
    while due < until:
        now = time.perf_counter()
        while due <= now:
            connections[turn % len(connections)].send(due)
            turn += 1
            due += 1 / rate
        await asyncio.sleep(min(0.001, max(0.0, due - now)))


async def run(port: int, form: str, connections: int, seconds: float, rate: float | None) -> Outcome:
    """Load 127.0.0.1:port and return what was seen."""
    latencies: array[float] = array("d")
    loop = asyncio.get_running_loop()
    request = request_bytes(form, port)
    made = [
        (await loop.create_connection(lambda: Connection(request, latencies), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    started = time.perf_counter()
    if rate:
        for connection in made:
            connection.is_paced = True
        await _pace(made, rate, started + seconds)
    else:
        for connection in made:
            connection.send(time.perf_counter())
        await asyncio.sleep(seconds)
    elapsed = time.perf_counter() - started
    answered = len(latencies)
    for connection in made:
        connection.is_stopped = True
        connection.due.clear()
    await asyncio.sleep(0.2)
    for connection in made:
        connection.transport.close()
    return _outcome(latencies[:answered], sum(one.refused for one in made), elapsed)


def _outcome(latencies: "array[float]", refused: int, seconds: float) -> Outcome:
    ordered = sorted(latencies) or [0.0]
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000 for part in (0.5, 0.99)]
    return Outcome(len(latencies), refused, seconds, at[0], at[1], ordered[-1] * 1000)


def main() -> None:
    """Read the arguments, load, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--form", choices=("single", "batch", "link"), default="single")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float)
    chosen = parser.parse_args()
    outcome = uvloop.run(
        run(chosen.port, chosen.form, chosen.connections, chosen.seconds, chosen.rate or None)
    )
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
