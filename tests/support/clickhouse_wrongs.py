"""What the ClickHouse test server does wrong, and to which statements.

The rules stand in a JSON file that is read again whenever it changed: a list of objects with

    does     complain          answers with the error `code` (and `text`), without executing
             complain-after    executes, then answers with the error
             hang, hang-after  never answers, before or after executing
             close, close-after  closes the connection without an answer, before or after executing
             half              executes, then closes in the middle of the answer
             short             executes, then answers with the first half of the lines and no sign of more
             error-behind-200  executes, then says 200 and sends an error behind half of the answer
             status            answers like something that is no ClickHouse: `status`, `text`
             slow              waits `seconds`, then executes
             die, die-after    kill -9 itself, before or after executing
    of       insert (default) | select | any
    table    only statements that insert into it
    times    how often; for good without it
    skip     the first so many are well

Each time adds a line `does table` to the file beside it that ends in .misbehaved.txt.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WORD = re.compile(rb"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*|\(\s*)*(\w+)", re.DOTALL)
_TABLE = re.compile(rb"\s*INSERT\s+INTO\s+(?:TABLE\s+)?(FUNCTION\s+)?([\w.`\"]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a request asks to be executed, as far as a rule wants to know it."""

    verb: str
    """Its first word, in lower case."""
    table: str
    """The table it inserts into, without its database; '' for anything else, and for a table function."""

    @property
    def is_insert(self) -> bool:
        """It writes rows into a table."""
        return bool(self.table)


def statement(sql: bytes) -> Statement:
    """What kind of statement this is."""
    word, table = _WORD.match(sql), _TABLE.match(sql)
    name = table[2].decode() if table and not table[1] else ""
    return Statement(word[1].decode().lower() if word else "", re.sub(r"[`\"]", "", name).rpartition(".")[2])


def wrongs_of(folder: Path) -> Path:
    """The file with the rules of the server over this folder, beside it."""
    return folder.with_name(f"{folder.name}.wrongs.json")


def misbehaved_beside(wrongs: Path) -> Path:
    """The file in which each wrong is noted."""
    return wrongs.with_name(wrongs.name.replace(".wrongs.json", ".misbehaved.txt"))


class Wrongs:
    """The rules as the file has them now. Any thread may ask."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._notes = misbehaved_beside(path)
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._rules: list[dict[str, Any]] = []
        self._met: Counter[int] = Counter()

    def rule(self, asked: Statement) -> Mapping[str, Any]:
        """The first rule that this statement falls under, empty when it should go well. Notes it."""
        with self._lock:
            self._read()
            for number, rule in enumerate(self._rules):
                if _concerns(rule, asked) and self._is_due(number, rule):
                    with self._notes.open("a", encoding="utf-8") as file:
                        file.write(f"{rule['does']} {asked.table}\n")
                    return rule
        return {}

    def _is_due(self, number: int, rule: Mapping[str, Any]) -> bool:
        self._met[number] += 1
        at = self._met[number] - int(rule.get("skip", 0))
        return 0 < at <= int(rule.get("times", at))

    def _read(self) -> None:
        if not self._path.exists():
            return
        status = self._path.stat()
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            self._stamp, self._rules = stamp, json.loads(self._path.read_bytes())
            self._met.clear()


def _concerns(rule: Mapping[str, Any], asked: Statement) -> bool:
    of = rule.get("of", "insert")
    is_kind = of == "any" or (asked.is_insert if of == "insert" else asked.verb in ("select", "with"))
    return is_kind and rule.get("table", asked.table) == asked.table
