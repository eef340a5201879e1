"""The Unix socket that a running server's commands come by: made so that only its owner can ever open it.

What is said over it is control.py's business.
"""

import asyncio
import os
import socket
import stat
from pathlib import Path

from aiohttp import web

from tracker.errors import ConfigError

MAX_PATH_BYTES = 107  # sun_path of Linux, less its closing zero
PROBE_SECONDS = 1.0


class ControlSocket:
    """Serves an application on a Unix socket of mode 0600 from `start` to `stop`; both may be called once.

    One that is replacing takes the path also from a server that still listens on it.
    """

    def __init__(self, path: Path, app: web.Application, *, is_replacing: bool = False) -> None:
        self._path = path
        self._is_replacing = is_replacing
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        self._server: asyncio.AbstractServer | None = None
        self._inode = 0

    async def start(self) -> None:
        """Listen. Raises ConfigError when the path cannot be used or another server listens there."""
        listener = bind(self._path, is_replacing=self._is_replacing)
        self._inode = self._path.stat().st_ino
        await self._runner.setup()
        if self._runner.server is None:
            raise RuntimeError("an application runner that is set up has a server")
        self._server = await asyncio.get_running_loop().create_unix_server(self._runner.server, sock=listener)

    async def stop(self) -> None:
        """Finish what is under way, for a second at most; take the socket file away if it is still ours."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()
        if _inode(self._path) == self._inode:
            self._path.unlink(missing_ok=True)


def bind(path: Path, *, is_replacing: bool = False) -> socket.socket:
    """A bound listener whose file was never open to anybody else. A file left by a dead server is replaced,
    with `is_replacing` a living one's too.

    Raises ConfigError: path too long, not a socket, somebody listens there, or the folder cannot be written.
    """
    _check_length(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_stale(path, is_replacing=is_replacing)
        _bind_private(listener, path)
    except OSError as failure:
        listener.close()
        raise ConfigError(f"Admin.Socket: cannot listen on {path}: {failure.strerror}") from failure
    except ConfigError:
        listener.close()
        raise
    return listener


def _bind_private(listener: socket.socket, path: Path) -> None:
    # By umask, not by a later chmod: between the two anybody could connect.
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)


def _check_length(path: Path) -> None:
    length = len(os.fsencode(path))
    if length > MAX_PATH_BYTES:
        raise ConfigError(
            f"Admin.Socket: {path} has {length} bytes, a Unix socket's path at most {MAX_PATH_BYTES};"
            " set a shorter one"
        )


def _remove_stale(path: Path, *, is_replacing: bool) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"Admin.Socket: {path} exists and is no socket; move it away or set another path")
    if not is_replacing and is_listening(path):
        raise ConfigError(f"Admin.Socket: another server listens on {path}; stop it or set another path")
    path.unlink(missing_ok=True)


def is_listening(path: Path) -> bool:
    """Whether somebody accepts connections on this Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            # Busy or not ours to open: there is somebody, and taking the file away would cut them off.
            return True
    return True


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return -1
