"""`sql`: one question to the running server's store, or to the file when no server runs."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tracker.commands.client import ControlClient, NotRunning
from tracker.commands.render import as_csv, as_json, as_table
from tracker.commands.settings import duckdb_file, load_config

GRACE_SECONDS = 10.0
RENDERERS = {"table": as_table, "csv": as_csv, "json": as_json}

Told = tuple[Sequence[str], Sequence[Sequence[Any]], bool]
"""Columns, rows, and whether there was more."""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked and how it is to be shown."""

    sql: str
    form: Literal["table", "csv", "json"]
    max_rows: int
    timeout_seconds: float


async def run(config_file: Path, question: Question) -> int:
    """Print the answer; that it was cut is said on standard error."""
    config = load_config(config_file)
    told = await _ask_server(ControlClient(config.admin.socket), question)
    columns, rows, is_cut = told or await _ask_file(duckdb_file(config), question)
    print(RENDERERS[question.form](columns, rows))
    if is_cut:
        print(f"tracker: cut at {question.max_rows} rows; see --max-rows", file=sys.stderr)
    return 0


async def _ask_server(client: ControlClient, question: Question) -> Told | None:
    command = {
        "sql": question.sql,
        "max_rows": question.max_rows,
        "timeout_seconds": question.timeout_seconds,
    }
    try:
        answer = await client.post("/sql", command, question.timeout_seconds + GRACE_SECONDS)
    except NotRunning:
        return None
    return answer["columns"], answer["rows"], answer["is_cut"]


async def _ask_file(file: Path, question: Question) -> Told:
    from tracker.sinks.duckdb import open_read_only  # the driver is heavy, and a running server has it

    async with open_read_only(file) as store:
        answer = await store.query(
            question.sql, max_rows=question.max_rows, timeout_seconds=question.timeout_seconds
        )
    return answer.columns, answer.rows, answer.is_cut
