"""ClickHouse's engine with the configuration that `python -m cluster` writes, in a process of its own.

It runs the statements of a cluster for real, with macros, Keeper and remote_servers, except for what needs
servers that find one another: ON CLUSTER is refused, and inserts into replicated tables wait for ever.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import chdb
import orjson

from cluster.plan import Keeper, Plan, Server
from cluster.server_config import HASH, SECRET, USER, config_xml, on_loopback, users_xml
from tracker.sinks.clickhouse_engine import FORMAT, READ_SETTINGS, Complaint, Settings, Told, told

ROOT = Path(__file__).parents[2]
_CODE = re.compile(r"Code: (\d+)\.")


class ClusteredEngine:
    """What `clustered_engine` gives."""

    place = "clustered"

    def __init__(self, database: str, process: "subprocess.Popen[bytes]") -> None:
        self.database = database
        self._process = process

    async def command(self, sql: str, settings: Settings | None = None, *, anywhere: bool = False) -> None:
        """As `Engine.command`; `settings` are left out, for they are those of servers."""
        await self._answer({"sql": sql, "database": "default" if anywhere else self.database})

    async def ask(self, sql: str, settings: Settings | None = None, *, anywhere: bool = False) -> Told:
        """As `Engine.ask`."""
        chosen = {**READ_SETTINGS, **(settings or {})}.items()
        sql = f"{sql}\nSETTINGS {', '.join(f'{name} = {value!r}' for name, value in chosen)}"
        return told(await self._answer({"sql": sql, "database": "default" if anywhere else self.database}))

    async def _answer(self, question: Mapping[str, str]) -> bytes:
        answer = orjson.loads(await asyncio.to_thread(self._exchange, orjson.dumps(question)))
        if "text" in answer:
            raise Complaint(answer["code"], answer["text"])
        return str(answer["answer"]).encode()

    def _exchange(self, line: bytes) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


@contextmanager
def clustered_engine(
    folder: Path, database: str, planned: Plan, server: int = 0, keeper_port: int | None = None
) -> Iterator[ClusteredEngine]:
    """An engine with the files that `python -m cluster` writes for this server of the plan.

    The Keepers of the plan are one, at the given port; without a port there is none.
    """
    folder.mkdir(exist_ok=True)
    config = configured(folder, planned, planned.servers[server], keeper_port)
    command = [sys.executable, "-m", "tests.support.clickhouse_clustered"]
    pipe = subprocess.PIPE
    with (
        (folder / "clickhouse.log").open("ab") as log,
        subprocess.Popen(
            [*command, f"{folder / 'clickhouse'}?config-file={config}"],
            stdin=pipe, stdout=pipe, stderr=log, cwd=ROOT, env={**os.environ, SECRET: "of the servers"},
        ) as process,
    ):  # fmt: skip
        try:
            yield ClusteredEngine(database, process)
        finally:
            process.kill()


def configured(folder: Path, planned: Plan, server: Server, keeper_port: int | None) -> Path:
    """The server's `config.xml`, written with a `users.xml` of the one user whom an embedded engine has."""
    keepers = (Keeper(1, "127.0.0.1", keeper_port, 0),) if keeper_port else ()
    folders = on_loopback(str(folder))
    text = config_xml(replace(planned, keepers=keepers), replace(server, keeper_id=None), folders)
    (folder / "config.xml").write_text(text, encoding="utf-8")
    users = users_xml(folders).replace(f"{USER}>", "default>")
    password = f'<password_sha256_hex from_env="{HASH}" />'
    assert password in users
    (folder / "users.xml").write_text(users.replace(password, "<no_password />"), encoding="utf-8")
    return folder / "config.xml"


def _serve(place: str) -> None:
    """Answer each line of standard input with one."""
    handle: Any = chdb.connect(place)  # type: ignore[no-untyped-call]
    for line in sys.stdin.buffer:
        asked = orjson.loads(line)
        try:
            handle.query(f"USE {asked['database']}")
            answer: dict[str, Any] = {"answer": handle.query(asked["sql"], FORMAT).bytes().decode()}
        except RuntimeError as failure:
            code = _CODE.search(str(failure))
            answer = {"code": int(code[1]) if code else None, "text": str(failure)}
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve(sys.argv[1])
