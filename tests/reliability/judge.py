"""The judge: what was acknowledged against what is stored. Everything once, nothing changed, nothing made up.

It reads the clients' files and the store, and knows nothing of how either came about.
"""

import hashlib
import json
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

LINE_PARTS = 4


class Stored(NamedTuple):
    """A row of the store, or a dead letter."""

    eid: str
    """Of an event; of another row its table, a colon and what it is known by."""
    digest: str


class Note(NamedTuple):
    """A line of a client's file."""

    eid: str
    digest: str
    is_poison: bool
    at_ns: int
    """When it was written, after the answer and so after the event was durable; on the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The two files of one client."""

    sent: Path
    acknowledged: Path

    @classmethod
    def of(cls, folder: Path, client: str) -> Self:
        """Where a client of this name keeps its files."""
        return cls(folder / f"{client}.sent", folder / f"{client}.acknowledged")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong; nothing is when all but the first two are empty. Ids, at most a few of each."""

    acknowledged: int
    stored: int
    missing: tuple[str, ...]
    """Acknowledged, and neither stored nor, where a store refuses it, among the dead letters."""
    doubled: tuple[str, ...]
    altered: tuple[str, ...]
    made_up: tuple[str, ...]
    """Stored, but never sent."""
    misplaced: tuple[str, ...]
    """Good and among the dead letters, or refused and stored."""
    miscounted: tuple[str, ...] = ()
    """Currencies whose sum in the store is not, to the cent, that of the payments in it."""
    acknowledged_in: Mapping[str, int] = field(default_factory=dict)
    """Acknowledged rows by table."""

    @property
    def is_clean(self) -> bool:
        """Nothing is wrong."""
        wrong = (self.missing, self.doubled, self.altered, self.made_up, self.misplaced, self.miscounted)
        return not any(wrong)


def entry(key: str, digest: str, *, is_poison: bool = False) -> str:
    """A line of a client's file, written now; `is_poison` says that a store refuses the row."""
    return f"{key} {digest} {'poison' if is_poison else 'good'} {time.monotonic_ns()}\n"


def content_hash(ename: str, params: dict[str, Any]) -> str:
    """A hash of what an event says, the same however its JSON was written."""
    text = json.dumps([ename, params], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def notes(path: Path) -> Iterator[Note]:
    """A client's file, line by line; a line that a dying client left half is none."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            parts = line.split()
            if line.endswith("\n") and len(parts) == LINE_PARTS:
                yield Note(parts[0], parts[1], parts[2] == "poison", int(parts[3]))


def judge(
    folder: Path, stored: Iterable[Stored], dead: Iterable[Stored] = (), until_ns: float = math.inf
) -> Verdict:
    """Compare the files of all clients in the folder with a store's rows and the dead letters for it.

    Only what was acknowledged until then, on the monotonic clock, must be there.
    """
    sent = {note.eid: note for path in folder.glob("*.sent") for note in notes(path)}
    owed = {
        note.eid for path in folder.glob("*.acknowledged") for note in notes(path) if note.at_ns <= until_ns
    }
    rows, letters = list(stored), list(dead)
    there = Counter(row.eid for row in (*rows, *letters))
    return Verdict(
        acknowledged=len(owed),
        acknowledged_in=Counter(key.partition(":")[0] if ":" in key else "events" for key in owed),
        stored=len(rows),
        missing=tuple(eid for eid in owed if eid not in there),
        doubled=tuple(eid for eid, times in there.items() if times > 1),
        altered=tuple(
            row.eid for row in (*rows, *letters) if row.eid in sent and sent[row.eid].digest != row.digest
        ),
        made_up=tuple(eid for eid in there if eid not in sent),
        misplaced=(
            *(row.eid for row in rows if row.eid in sent and sent[row.eid].is_poison),
            *(row.eid for row in letters if row.eid in sent and not sent[row.eid].is_poison),
        ),
    )
