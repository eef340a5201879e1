"""The conversation by which one process takes the listening sockets from another, both sides in one."""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tracker.errors import TrackerError
from tracker.web.control_socket import MAX_PATH_BYTES, ControlSocket
from tracker.web.handover import Estate, Offer, Predecessor, path_beside, waiting_room
from tracker.web.listeners import bind


@dataclass
class Old:
    """A process that offers its sockets."""

    control: Path
    listener: socket.socket
    offer: Offer = field(init=False)
    steps_down: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        estate = Estate("127.0.0.1:8880", 1.0, [self.listener])
        self.offer = Offer(self.control, estate, self.steps_down.set)

    async def find(self) -> Predecessor:
        found = await Predecessor.find(self.control)
        assert found is not None
        return found


@asynccontextmanager
async def offering(folder: Path) -> AsyncIterator[Old]:
    (listener,) = bind("127.0.0.1", 0)
    listener.listen()
    old = Old(folder / "tracker.sock", listener)
    old.offer.start()
    try:
        yield old
    finally:
        old.offer.close()
        listener.close()


def let_go(found: Predecessor) -> None:
    found.close()
    for listener in found.estate.listeners:
        listener.close()


async def test_the_new_process_gets_the_sockets_and_then_the_old_one_steps_down(tmp_path: Path) -> None:
    async with offering(tmp_path) as old:
        found = await old.find()
        assert found.estate.address == "127.0.0.1:8880"
        assert found.estate.listeners[0].getsockname() == old.listener.getsockname()
        assert found.estate.listeners[0].fileno() != old.listener.fileno()
        assert not old.steps_down.is_set()
        await found.step_down()
        await asyncio.wait_for(old.steps_down.wait(), 5)
        old.offer.close()
        await asyncio.wait_for(found.ended(), 5)
        let_go(found)


async def test_a_new_process_that_gives_up_changes_nothing_and_the_next_one_can_take_over(
    tmp_path: Path,
) -> None:
    async with offering(tmp_path) as old:
        let_go(await old.find())
        found = await old.find()
        assert not old.steps_down.is_set()
        await found.step_down()
        await asyncio.wait_for(old.steps_down.wait(), 5)
        let_go(found)


async def test_a_connection_in_between_waits_in_the_queue_of_the_socket_that_both_have(
    tmp_path: Path,
) -> None:
    async with offering(tmp_path) as old:
        found = await old.find()
        address = old.listener.getsockname()
        old.listener.close()
        with socket.create_connection(address) as client:
            client.sendall(b"hello")
            loop = asyncio.get_running_loop()
            accepted, _ = await loop.sock_accept(found.estate.listeners[0])
            assert await loop.sock_recv(accepted, 100) == b"hello"
            accepted.close()
        let_go(found)


async def test_only_the_owner_can_take_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with offering(tmp_path) as old:
        assert stat.S_IMODE(path_beside(old.control).stat().st_mode) == 0o600
        somebody_else = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: somebody_else)
        with pytest.raises(TrackerError, match="did not hand over"):
            await Predecessor.find(old.control)
        assert not old.steps_down.is_set()


async def test_without_a_server_there_is_nothing_to_take_over(tmp_path: Path) -> None:
    assert await Predecessor.find(tmp_path / "tracker.sock") is None
    async with offering(tmp_path) as old:
        old.offer.withdraw()
        assert await Predecessor.find(old.control) is None
        assert not path_beside(old.control).exists()


async def test_a_server_that_offers_nothing_is_named(tmp_path: Path) -> None:
    control = ControlSocket(tmp_path / "tracker.sock", waiting_room())
    await control.start()
    with pytest.raises(TrackerError, match="stop it first"):
        await Predecessor.find(tmp_path / "tracker.sock")
    await control.stop()


async def test_a_path_too_long_for_the_offer_keeps_no_server_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    control = tmp_path / ("x" * (MAX_PATH_BYTES - len(os.fsencode(tmp_path)) - 1))
    offer = Offer(control, Estate("", 1.0, []), lambda: None)
    offer.start()
    assert "taking over is not possible" in caplog.text
    offer.close()


async def test_a_caller_that_talks_nonsense_gets_nothing(tmp_path: Path) -> None:
    async with offering(tmp_path) as old:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.setblocking(False)
            caller.connect(str(path_beside(old.control)))
            caller.send(b"GET / HTTP/1.1\r\n")
            assert await asyncio.get_running_loop().sock_recv(caller, 100) == b""
        let_go(await old.find())
