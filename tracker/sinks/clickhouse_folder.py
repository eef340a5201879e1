"""The folder of ClickHouse's engine in this process: opening it, who has it, stopping what runs there.

Everything here blocks and is called from threads.
"""

import fcntl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from tracker.errors import ConfigError
from tracker.sinks.clickhouse_engine import Unreachable
from tracker.sinks.clickhouse_sql import literal

_MOST_CHARACTERS = 200


def opened(folder: Path) -> Client:
    """A handle to the engine over this folder, which is made when it is missing; several may be open.

    Raises Unreachable, and ConfigError when chdb is not installed.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return clickhouse_connect.get_client(interface="chdb", path=str(folder.resolve()))
    except ImportError as error:
        raise ConfigError(
            'Hosts ["embedded"] needs the engine: make install-clickhouse, '
            'or pip install "tracker[embedded-clickhouse]"'
        ) from error
    except Error as error:
        why = "another process has it" if _is_locked(folder) else str(error)[:_MOST_CHARACTERS]
        raise Unreachable(f"the folder cannot be opened: {why}", is_unknown=False) from error


def closed(handle: Client) -> None:
    """Let go; with the last handle the engine ends."""
    with suppress(ClickHouseError):
        handle.close()


def stop(folder: Path, marks: Sequence[str]) -> None:
    """End the statements whose setting `log_comment` is one of these marks; none is left is no failure."""
    with suppress(ClickHouseError, Unreachable, OSError):
        handle = opened(folder)
        try:
            those = ", ".join(map(literal, marks))
            handle.raw_query(f"KILL QUERY WHERE Settings['log_comment'] IN ({those}) ASYNC")
        finally:
            closed(handle)


def _is_locked(folder: Path) -> bool:
    """Whether a process holds the lock by which the engine keeps others out."""
    try:
        with (folder / "status").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
