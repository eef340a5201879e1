"""A process that writes the batches of a file until it is killed, and says after each that it is done.

Started by tests as `python -m tests.unit.sinks.writing_child FOLDER BATCHES`, where BATCHES has one
`id rows` a line and their data lies in FOLDER/<id>.
"""

import asyncio
import sys
from pathlib import Path

from tests.unit.sinks.places import settings_in
from tracker.events import Batch
from tracker.sinks.duckdb import DuckDbSink


async def write_all(folder: Path, lines: list[str]) -> None:
    sink = DuckDbSink(settings_in(folder))
    await sink.open()
    print("open", flush=True)
    for line in lines:
        batch_id, rows = line.split()
        data = (folder / batch_id).read_bytes()
        await sink.write(Batch(batch_id, "events", int(rows), data, is_repeat=True))
        print(batch_id, flush=True)
    print("end", flush=True)
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(write_all(Path(sys.argv[1]), Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()))
