"""One server process, from the signals it hears to its exit code; what it runs is put together in `app`."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

import uvloop

from tracker import __version__, logs
from tracker.app import Collector, Heritage
from tracker.config import Config
from tracker.errors import TrackerError
from tracker.stopping import Budget, within
from tracker.tuning import tune
from tracker.web.control_socket import ControlSocket
from tracker.web.handover import Predecessor, waiting_room
from tracker.web.listeners import inherited

log = logging.getLogger(__name__)

EXIT_OK, EXIT_FAILED = 0, 1


class Wish:
    """Somebody's wish that this process should end."""

    def __init__(self) -> None:
        self.is_there = asyncio.Event()
        self.is_hand_over = False
        """A new process takes over: delivering what waits is its work."""
        self._signals = 0

    def hear_signals(self) -> None:
        """SIGTERM, SIGINT and a closed terminal ask for an end; with the second signal it comes at once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup: it is to outlive its terminal
            loop.add_signal_handler(signal.SIGHUP, self._signalled)

    def _signalled(self) -> None:
        self._signals += 1
        if self._signals > 1:
            os._exit(EXIT_FAILED)  # whatever was acknowledged is on disk
        self.is_there.set()

    def step_down(self) -> None:
        """A new process takes over."""
        self.is_hand_over = not self.is_there.is_set()
        self.is_there.set()


def run(config: Config, warnings: Sequence[str], *, take_over: bool = False) -> NoReturn:
    """Serve until a signal says stop or a new process takes over, then leave with exit code 0.

    Raises TrackerError when the start fails.
    """
    os.umask(0o077)  # what visitors did is nobody else's on this machine
    logs.configure(config.log.level, config.log.format)
    for warning in warnings:
        log.warning("configuration", extra={"fields": {"warning": warning}})
    listeners = inherited(os.environ, os.getpid())
    tune()
    try:
        uvloop.run(_serve(config, listeners, take_over=take_over))
    except OSError as error:
        raise TrackerError(f"the start failed: {error}") from error


async def _serve(config: Config, listeners: Sequence[socket.socket], *, take_over: bool) -> NoReturn:
    wish = Wish()
    wish.hear_signals()
    start = asyncio.create_task(_start(config, listeners, wish, take_over=take_over))
    wished = asyncio.create_task(wish.is_there.wait())
    await asyncio.wait({start, wished}, return_when=asyncio.FIRST_COMPLETED)
    if not start.done():
        await _give_up(start, config)
    collector = await start
    _greet(collector)
    await wished
    log.info("stopping")
    _end_in_any_case(config, config.shutdown.pre_stop_seconds)
    is_clean = await collector.stop(deliver=not wish.is_hand_over)
    log.info("stopped", extra={"fields": {"is_clean": is_clean}})
    _leave()


async def _start(
    config: Config, listeners: Sequence[socket.socket], wish: Wish, *, take_over: bool
) -> Collector:
    predecessor = await Predecessor.find(config.admin.socket) if take_over else None
    if predecessor is None:
        return await Collector.start(config, Heritage(listeners), wish.step_down)
    try:
        return await _succeed(predecessor, config, listeners, wish)
    finally:
        predecessor.close()


async def _succeed(
    predecessor: Predecessor, config: Config, listeners: Sequence[socket.socket], wish: Wish
) -> Collector:
    estate = predecessor.estate
    if not listeners and estate.address != str(config.listen or ""):
        raise TrackerError(
            f"the running server listens on {estate.address}, this configuration says {config.listen}:"
            " that cannot be taken over; stop the running one first"
        )
    await predecessor.step_down()
    log.info("taking over", extra={"fields": {"address": estate.address}})
    waiting = ControlSocket(config.admin.socket, waiting_room(), is_replacing=True)
    await waiting.start()
    try:
        heritage = Heritage(listeners or estate.listeners, predecessor)
        return await Collector.start(config, heritage, wish.step_down)
    finally:
        await waiting.stop()


async def _give_up(start: "asyncio.Task[Collector]", config: Config) -> NoReturn:
    """End before the server listens."""
    log.info("stopping before the start was over")
    _end_in_any_case(config)
    start.cancel()
    await within(Budget.of(config.shutdown.grace_seconds).spool, start)
    _leave()


def _end_in_any_case(config: Config, pre_stop_seconds: float = 0.0) -> None:
    """Have the process end when its time is up, whatever a driver does. What was acknowledged is on disk."""
    seconds = pre_stop_seconds + Budget.of(config.shutdown.grace_seconds).process
    watchdog = threading.Timer(seconds, os._exit, (EXIT_OK,))
    watchdog.daemon = True
    watchdog.start()


def _leave() -> NoReturn:
    """End now. The interpreter's own way out would wait for threads of drivers that never come back, and take
    the handlers from the signals before it is over."""
    logging.shutdown()
    os._exit(EXIT_OK)


def _greet(collector: Collector) -> None:
    """Tell a person at the terminal where to send, where the data lies, and what to try."""
    if collector.config.spool.durability == "memory":
        log.warning(
            "durability is memory: what is acknowledged does not survive a power cut or a killed machine"
        )
    try:
        print("\n".join(_greeting(collector)), flush=True)
    except OSError:  # the terminal is gone, and with it whoever would have read this
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 (it stays open to the end)


def _greeting(collector: Collector) -> Sequence[str]:
    if collector.serving is None:
        raise RuntimeError("only a server that listens can greet")
    config = collector.config
    host, port = collector.serving.address
    host = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, host)  # noqa: S104 (shown, not listened on)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    stores = ", ".join(service.context for service in config.sinks) or "nowhere: no store is configured"
    route = f"{url}/tr/v{config.api_version}/tr/"
    return (
        f"tracker {__version__}",
        f"  send events to    {route}",
        f"  data lies in      {stores}",
        f"  what waits is in  {config.spool.path} ({config.spool.durability})",
        f"""  try               curl {route} --data '{{"vid": "user-123", "ename": "page_view"}}'""",
    )
