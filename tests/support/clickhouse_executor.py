"""Statements on ClickHouse's engine in this process, each on a handle of its own, for the test server."""

import asyncio
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chdb

from tests.support.clickhouse_wrongs import Statement

THREADS = 16


class Failed(Exception):
    """A statement failed with this code; the text is the server's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. `readonly` 1 may not even change settings; `may`: the verbs that are granted."""

    name: str
    password: str = ""
    readonly: int = 0
    may: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    sql: bytes
    """The statement, with its data behind it."""
    database: str
    settings: Mapping[str, str]
    parameters: Mapping[str, str]
    form: str
    statement: Statement


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a statement."""

    body: bytes
    summary: Mapping[str, str]


class Executor:
    """Statements on the engine over one folder, each on a handle of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._engine = self._handle()  # kept, for the engine ends with its last handle
        self._threads = ThreadPoolExecutor(THREADS, "statement")
        self.version = self._said("SELECT version()")
        self.timezone = self._said("SELECT timezone()")

    def name_of(self, code: int) -> str:
        """A code's symbolic name."""
        return self._said(f"SELECT errorCodeToName({code})")

    async def run(self, asked: Asked, user: User) -> Done:
        """Raises Failed."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, asked, user)

    def _run(self, asked: Asked, user: User) -> Done:
        handle = self._handle()
        try:
            if asked.settings:
                pairs = (f"{name} = {_quoted(value)}" for name, value in asked.settings.items())
                handle.query(f"SET {', '.join(pairs)}")
            handle.query(f"USE {_identifier(asked.database)}")
            if user.readonly:
                handle.query(f"SET readonly = {user.readonly}")
            answer = handle.query(asked.sql, asked.form, dict(asked.parameters) or None)
            counts = {"read_rows": answer.storage_rows_read(), "written_rows": answer.rows_written()}
            return Done(bytes(answer.bytes()), {name: str(count) for name, count in counts.items()})
        except RuntimeError as error:
            raise _failed(str(error)) from error
        finally:
            handle.close()

    def _handle(self) -> Any:
        return chdb.connect(self._folder)  # type: ignore[no-untyped-call]

    def _said(self, sql: str) -> str:
        return str(self._engine.query(sql, "TabSeparatedRaw").bytes().decode().rstrip("\n"))


def _failed(text: str) -> Failed:
    """The engine's `Code: 27. DB::Exception: … (NAME)` in its parts."""
    match = re.search(r"Code: (\d+)\. DB::Exception: (.*)", text, re.DOTALL)
    return Failed(int(match[1]), match[2].rstrip()) if match else Failed(1002, text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _identifier(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
