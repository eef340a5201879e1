"""`accounts`: who may make short links and ask for what is private.

A running server changes them by its control socket; while none runs, rows wait in the spool until the server
next starts. Passwords are hashed here: only their hashes go anywhere.
"""

import getpass
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tracker import clock
from tracker.batching.running import directly
from tracker.batching.spool import Spool
from tracker.batching.waiting_table import WaitingTable
from tracker.commands.client import ControlClient, NotRunning
from tracker.commands.local import open_spool
from tracker.commands.render import as_json, as_table
from tracker.commands.settings import load_config
from tracker.config import Config
from tracker.errors import QueryError, TrackerError
from tracker.events import Entry
from tracker.records import passwords
from tracker.records.account_book import AccountBook, NewAccount
from tracker.records.lookup import Lookup
from tracker.records.ports import Finder, Row
from tracker.settings import asked_store, sink_settings
from tracker.sinks.registry import to_ask
from tracker.steps.rows import encode
from tracker.web.control_services import AccountBook as Book
from tracker.web.control_services import Json

COLUMNS = ("uid", "name", "hosts", "admin", "disabled", "expires", "created_at")


@dataclass(frozen=True, slots=True)
class Asked:
    """What an account is to be."""

    hosts: Sequence[str] = ()
    is_admin: bool = False
    expires: str = ""
    """A time as rows have it."""
    uid: str = ""
    name: str = ""


async def add(config_file: Path, asked: Asked, *, from_stdin: bool) -> int:
    """Make an account and print its uid."""
    config = load_config(config_file)
    pwd = _new_hash(from_stdin=from_stdin)
    account = NewAccount(pwd, asked.hosts, asked.is_admin, asked.expires, asked.uid, asked.name)
    async with _book(config) as book:
        print(await book.add(account))
    return 0


async def show(config_file: Path, *, is_json: bool) -> int:
    """Print all accounts, without hashes."""
    async with _book(load_config(config_file)) as book:
        accounts = await book.listed()
    rows = [[account[name] for name in COLUMNS] for account in accounts]
    print(as_json(COLUMNS, rows) if is_json else as_table(COLUMNS, [_readable(row) for row in rows]))
    return 0


async def passwd(config_file: Path, uid: str, *, from_stdin: bool) -> int:
    """Give an account a new password."""
    config = load_config(config_file)
    pwd = _new_hash(from_stdin=from_stdin)
    async with _book(config) as book:
        await book.passwd(uid, pwd)
    return 0


async def disable(config_file: Path, uid: str) -> int:
    """Let nothing open an account any more."""
    async with _book(load_config(config_file)) as book:
        await book.disable(uid)
    return 0


def _readable(row: Sequence[object]) -> list[object]:
    return [", ".join(map(str, value)) if isinstance(value, list) else value for value in row]


def _new_hash(*, from_stdin: bool) -> str:
    """The hash of the password that is typed, or of standard input's first line. Raises TrackerError."""
    password = sys.stdin.readline().rstrip("\r\n") if from_stdin else _typed()
    if objection := passwords.objection(password):
        raise TrackerError(objection)
    return passwords.hashed(password)


def _typed() -> str:
    if not sys.stdin.isatty():
        raise TrackerError("give the password on standard input, with --password-stdin")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise TrackerError("the two are not the same")
    return password


@asynccontextmanager
async def _book(config: Config) -> AsyncIterator[Book]:
    """The server's accounts, or those of the files while no server runs."""
    client = ControlClient(config.admin.socket)
    try:
        await client.get("/status")
    except NotRunning:
        async with _local_book(config) as book:
            yield book
    else:
        yield RemoteBook(client)


class RemoteBook:
    """The accounts of a running server."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    async def add(self, account: NewAccount) -> str:
        """Make one; its uid."""
        command = {
            "pwd": account.pwd,
            "hosts": list(account.hosts),
            "admin": account.is_admin,
            "expires": account.expires,
            "uid": account.uid,
            "name": account.name,
        }
        return str((await self._client.post("/accounts/add", command))["uid"])

    async def listed(self) -> Sequence[Json]:
        """All of them."""
        found: Sequence[Json] = (await self._client.get("/accounts"))["accounts"]
        return found

    async def passwd(self, uid: str, pwd: str) -> None:
        """Replace a password's hash."""
        await self._client.post("/accounts/passwd", {"uid": uid, "pwd": pwd})

    async def disable(self, uid: str) -> None:
        """Let nothing open it any more."""
        await self._client.post("/accounts/disable", {"uid": uid})


@asynccontextmanager
async def _local_book(config: Config) -> AsyncIterator[AccountBook]:
    spool = open_spool(config)
    try:
        spool.attach_sinks([sink.name for sink in config.sinks])
        async with AsyncExitStack() as stack:
            lookup = await _lookup(config, spool, stack)

            async def save(row: Row) -> None:
                spool.commit([Entry((encode("accounts", row),))], clock.now())
                lookup.wrote(row)

            yield AccountBook(lookup, save, clock.now)
    finally:
        spool.close()


async def _lookup(config: Config, spool: Spool, stack: AsyncExitStack) -> Lookup:
    asked = asked_store(config)
    store: Finder | None = None
    if asked is not None:
        try:
            store = await stack.enter_async_context(to_ask(sink_settings(config, asked)))
        except QueryError:
            store = Nothing()  # nothing has been stored there yet
    lookup = Lookup("accounts", "uid", store, WaitingTable(spool, directly, (asked.name,) if asked else ()))
    await lookup.start()
    stack.push_async_callback(lookup.close)
    return lookup


class Nothing:
    """A store that nobody has made yet."""

    async def find(self, table: str, where: object, *, limit: int = 1000) -> Sequence[Row]:
        """No row."""
        return []
