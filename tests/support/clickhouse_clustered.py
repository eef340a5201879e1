"""ClickHouse's engine with a cluster's configuration, in a process of its own.

It runs the statements of a cluster for real, with macros, Keeper and remote_servers, except for what needs
servers that find one another: ON CLUSTER is refused, and inserts into replicated tables wait for ever.
"""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import chdb
import orjson

from tracker.sinks.clickhouse_engine import FORMAT, READ_SETTINGS, Complaint, Settings, Told, told

ROOT = Path(__file__).parents[2]
PORT = 9000
"""The one of the engine's own address; nothing listens there."""
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
    folder: Path, database: str, cluster: str, shards: int, keeper_port: int | None = None
) -> Iterator[ClusteredEngine]:
    """An engine in `folder` that is every shard of a cluster, with a Keeper where a port is given."""
    config = folder / "config.xml"
    config.write_text(configuration(cluster, shards, keeper_port), encoding="utf-8")
    place = f"{folder / 'clickhouse'}?config-file={config}"
    command = [sys.executable, "-m", "tests.support.clickhouse_clustered", place]
    pipe = subprocess.PIPE
    with (
        (folder / "clickhouse.log").open("ab") as log,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, cwd=ROOT) as process,
    ):
        try:
            yield ClusteredEngine(database, process)
        finally:
            process.kill()


def configuration(cluster: str, shards: int, keeper_port: int | None) -> str:
    """As the server of the first shard and replica has it."""
    server = f"<replica><host>127.0.0.1</host><port>{PORT}</port></replica>"
    shard = f"<shard><internal_replication>true</internal_replication>{server}</shard>"
    node = f"<zookeeper><node><host>127.0.0.1</host><port>{keeper_port}</port></node></zookeeper>"
    return (
        f"<clickhouse><tcp_port>{PORT}</tcp_port>"
        "<macros><layer>01</layer><shard>01</shard><replica>01</replica></macros>"
        f"<remote_servers><{cluster}>{shard * shards}</{cluster}></remote_servers>"
        f"{node if keeper_port else ''}</clickhouse>"
    )


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
