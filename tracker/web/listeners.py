"""Listening sockets, wherever they come from: an address, or the service manager that already listens.

Serving on them is `server`'s business, passing them on to the next process `handover`'s.
"""

import socket
from collections.abc import MutableMapping

from tracker.errors import ConfigError

FIRST_FD = 3
"""Where passed sockets begin, behind standard input, output and error; as sd_listen_fds(3) has it."""


def bind(host: str, port: int, *, reuse_port: bool = False) -> list[socket.socket]:
    """A bound socket for each address of `host` ('' is every interface); port 0 is any free one.

    Raises OSError.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            if family == socket.AF_INET6 and not _has_ipv6():
                continue
            listeners.append(socket.socket(family, socket.SOCK_STREAM))
            _bind(listeners[-1], address, reuse_port=reuse_port)
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _has_ipv6() -> bool:
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True


def _bind(listener: socket.socket, address: object, *, reuse_port: bool) -> None:
    listener.setblocking(False)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if listener.family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listener.bind(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
    except OSError as failure:
        raise OSError(failure.errno, f"cannot listen on {address}: {failure.strerror}") from failure


def inherited(environ: MutableMapping[str, str], pid: int) -> list[socket.socket]:
    """The sockets that the service manager passed to process `pid` (systemd's LISTEN_FDS), often none.

    Takes the variables away, so that no child believes them to be its own. Raises ConfigError for
    anything but listening TCP sockets.
    """
    if environ.get("LISTEN_PID") != str(pid):
        return []
    count = environ.get("LISTEN_FDS", "")
    for name in [name for name in environ if name.startswith("LISTEN_")]:
        del environ[name]
    if not count.isascii() or not count.isdigit():
        raise ConfigError(f"LISTEN_FDS: {count!r} is no number of sockets")
    return [_passed(descriptor) for descriptor in range(FIRST_FD, FIRST_FD + int(count))]


def _passed(descriptor: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=descriptor)
        is_listening = bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError as failure:
        raise ConfigError(f"LISTEN_FDS: descriptor {descriptor}: {failure.strerror}") from failure
    if not is_listening or listener.family not in (socket.AF_INET, socket.AF_INET6):
        listener.detach()
        raise ConfigError(f"LISTEN_FDS: descriptor {descriptor} is no listening TCP socket (ListenStream=)")
    listener.set_inheritable(False)
    listener.setblocking(False)
    return listener
