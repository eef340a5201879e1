"""`sql`: one question to a store: by the running server, or directly when none runs."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tracker.commands.client import ControlClient, NotRunning
from tracker.commands.render import as_csv, as_json, as_table
from tracker.commands.settings import load_config, store_to_ask
from tracker.settings import sink_settings
from tracker.sinks.registry import SinkSettings, to_ask

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
    store: str = ""
    """Name of the store, or its service where there is one such store; '' for the first."""


async def run(config_file: Path, question: Question) -> int:
    """Print the answer; that it was cut is said on standard error."""
    config = load_config(config_file)
    store = store_to_ask(config, question.store)
    told = await _ask_server(
        ControlClient(config.admin.socket), question, store.name if question.store else ""
    )
    columns, rows, is_cut = told or await _ask_store(sink_settings(config, store), question)
    print(RENDERERS[question.form](columns, rows))
    if is_cut:
        print(f"tracker: cut at {question.max_rows} rows; see --max-rows", file=sys.stderr)
    return 0


async def _ask_server(client: ControlClient, question: Question, store: str) -> Told | None:
    command = {
        "sql": question.sql,
        "max_rows": question.max_rows,
        "timeout_seconds": question.timeout_seconds,
        **({"store": store} if store else {}),
    }
    try:
        answer = await client.post("/sql", command, question.timeout_seconds + GRACE_SECONDS)
    except NotRunning:
        return None
    return answer["columns"], answer["rows"], answer["is_cut"]


async def _ask_store(settings: SinkSettings, question: Question) -> Told:
    async with to_ask(settings) as store:
        answer = await store.query(
            question.sql, max_rows=question.max_rows, timeout_seconds=question.timeout_seconds
        )
    return answer.columns, answer.rows, answer.is_cut
