"""Sockets to listen on, made from an address or passed by a service manager."""

import os
import socket

import pytest

from tracker.errors import ConfigError
from tracker.web.listeners import bind, inherited


def test_every_interface_is_one_socket_for_each_family() -> None:
    listeners = bind("", 0)
    families = [listener.family for listener in listeners]
    assert socket.AF_INET in families
    assert len(set(families)) == len(families)
    for listener in listeners:
        listener.close()


def test_an_address_that_is_taken_is_named() -> None:
    (taken,) = bind("127.0.0.1", 0)
    taken.listen()
    with pytest.raises(OSError, match=f"{taken.getsockname()[1]}.*in use"):
        bind("127.0.0.1", taken.getsockname()[1])
    taken.close()


def test_sockets_passed_to_another_process_are_not_ours() -> None:
    environ = {"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1"}
    assert inherited(environ, os.getpid()) == []
    assert inherited({}, os.getpid()) == []


def test_no_child_may_believe_that_the_sockets_are_its_own() -> None:
    environ = {"LISTEN_PID": "7", "LISTEN_FDS": "0", "LISTEN_FDNAMES": "", "HOME": "/"}
    assert inherited(environ, 7) == []
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize("count", ["", "-1", "two", "²"])
def test_a_number_that_is_none_stops_the_start(count: str) -> None:
    with pytest.raises(ConfigError, match="LISTEN_FDS"):
        inherited({"LISTEN_PID": "7", "LISTEN_FDS": count}, 7)


def test_the_port_is_free_again_when_one_of_several_addresses_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (taken,) = bind("127.0.0.1", 0)
    taken.listen()
    port = taken.getsockname()[1]
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(OSError, match="in use"):
        bind("both.example", port)
    monkeypatch.undo()
    (free,) = bind("127.0.0.2", port)
    free.close()
    taken.close()
