"""What pruning must do, said once more in plain Python, and rows to try it on."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from tracker.sinks.base import Answer, Store
from tracker.sinks.pruning import Emptied, Emptying, Rule
from tracker.steps.hashes import sha
from tracker.tables import CATALOGUE, ZERO_UUID

SALT = "pepper"
EVENTS = CATALOGUE["events"]
SHOWN = ("eid", "vid", "iphash", "os", "cflags", "vp_w", "lat", "is_client", "params", "targets")
"""The columns of an event that are compared."""
EMPTY_OF = {
    "vid": ZERO_UUID,
    "iphash": "",
    "os": "",
    "vp_w": 0,
    "lat": 0.0,
    "is_client": False,
    "targets": {},
}
HASHED = sha("x")

Row = dict[str, Any]

_EARLY: Row = {
    "created_at": "2026-01-09 23:59:59.999Z",
    "iphash": "",
    "vid": ZERO_UUID,
    "targets": {},
    "cflags": 0,
}
_NEARLY_EMPTY: tuple[Row, ...] = (
    *({"was": value} for value in ("no hash", 7, ["x"], HASHED, f"{HASHED}=", HASHED[1:])),
    *({"n": value} for value in (0.5, -1, 2**40, 2**63, "1", False)),
)
"""params of rows that differ from empty ones in nothing else."""


def uuid_of(number: int) -> str:
    """A UUID by its number."""
    return f"00000000-0000-4000-8000-{number:012x}"


def time_of_day(day: int, number: int = 0) -> str:
    """A time in January 2026, UTC, without the Z."""
    return f"2026-01-{day:02d} {number % 24:02d}:00:00.{number % 1000:03d}"


def events(chance: random.Random, count: int) -> list[Row]:
    """Events of January 2026 with everything that a rule looks at, and what is empty already."""
    made = [_event(chance, number) for number in range(count)]
    changes: list[Row] = [*({"created_at": f"{time_of_day(day)}Z"} for day in (8, 10, 20, 25, 28))]
    changes += [{**_EARLY, "params": params} for params in _NEARLY_EMPTY]
    return [{**row, **change} for row, change in zip(made, changes, strict=False)] + made[len(changes) :]


def _event(chance: random.Random, number: int) -> Row:
    return {
        "eid": uuid_of(number),
        "oid": uuid_of(chance.choice((0, 1)) + 900),
        "created_at": f"{time_of_day(chance.randint(1, 28), number)}Z",
        "vid": chance.choice((ZERO_UUID, uuid_of(number + 5000))),
        "iphash": chance.choice(("", "abc", "it's ü\n😀")),
        "os": chance.choice(("", "linux", "some")),
        "cflags": chance.choice((0, 1, 2, 4, 5, 4096, -1, 2**62)),
        "vp_w": chance.choice((0, 1440)),
        "lat": chance.choice((0.0, 1.5, -0.25)),
        "is_client": chance.choice((False, True)),
        "targets": chance.choice(({}, {"a": [1, 2]})),
        "params": _params(chance),
    }


def _params(chance: random.Random) -> Row:
    made: Row = {}
    for name, values in {
        "was": (HASHED, "no hash", 7, ["x"], True),
        "vid_was": (HASHED,),
        "n": (1, -1, 0.5, 2**40, "1", False, [1]),
        "a.b": (3, "3"),
        "deep": ({"n": 1}, {"was": "x"}),
        'o"dd\\': ("x", 5),
    }.items():
        if chance.random() < 0.3:
            made[name] = chance.choice(values)
    return made


def emptied(name: str, hash_key: str = "", value: Any = None) -> Emptied:
    """A field of a rule over events."""
    (column,) = (one for one in EVENTS.columns if one.name == name)
    return Emptied(column, column.default if value is None else value, hash_key)


def rule_of(day: int, **parts: Any) -> Rule:
    """Events before this day of January 2026."""
    return Rule(**{"table": EVENTS, "before": time_of_day(day), "page_rows": 7, **parts})


def emptying_of(*fields: Emptied, **flags: bool) -> Emptying:
    """As configured, with a salt."""
    return Emptying(fields, lambda text: sha(SALT + text), **flags)


def judged(rows: Sequence[Row], rule: Rule, most_rows: int | None = None) -> tuple[list[Row], int]:
    """The rows that must be there afterwards, by eid, and how many were deleted or changed."""
    due = sorted(
        (row for row in rows if _is_old(row, rule) and _result(row, rule) != row),
        key=lambda row: (row["created_at"], row["eid"]),
    )[:most_rows]
    touched = {row["eid"] for row in due}
    left = [_result(row, rule) if row["eid"] in touched else row for row in rows]
    return sorted((row for row in left if row is not None), key=lambda row: str(row["eid"])), len(due)


def _is_old(row: Row, rule: Rule) -> bool:
    at = row["created_at"].removesuffix("Z")
    return bool(rule.since <= at < rule.before and not row["cflags"] & rule.keeps_cflags)


def _result(row: Row, rule: Rule) -> Row | None:
    """What becomes of an old row; None when it goes."""
    wanted = rule.emptying
    if wanted is None:
        return None
    made, params = dict(row), dict(row["params"])
    keys = {field.hash_key for field in wanted.fields if field.hash_key}
    for name, value in row["params"].items():
        is_hash = name in keys and isinstance(value, str) and len(value) == 28 and value.endswith("=")
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if (wanted.clears_params and not is_hash) or (wanted.clears_numbers and is_number):
            del params[name]
    for field in wanted.fields:
        name, old = field.column.name, row[field.column.name]
        new = EMPTY_OF["targets"] if name == "targets" else field.value
        if old != new and field.hash_key and old != EMPTY_OF[name]:
            params[field.hash_key] = sha(SALT + str(old))
        made[name] = new
    return {**made, "params": params}


RULES: Mapping[str, Rule] = {
    "delete": rule_of(10),
    "delete since": rule_of(20, since=time_of_day(8)),
    "keep by consent": rule_of(25, keeps_cflags=4 | 4096),
    "empty a column": rule_of(20, emptying=emptying_of(emptied("vp_w"), emptied("is_client"))),
    "empty with hashes": rule_of(
        20, emptying=emptying_of(emptied("iphash", "was"), emptied("vid", "vid_was"), emptied("lat"))
    ),
    "another default": rule_of(20, emptying=emptying_of(emptied("os", "was", "some"))),
    "clear params": rule_of(
        28, emptying=emptying_of(emptied("iphash", "was"), emptied("targets"), clears_params=True)
    ),
    "clear params alone": rule_of(28, keeps_cflags=1, emptying=emptying_of(clears_params=True)),
    "clear numbers": rule_of(28, emptying=emptying_of(emptied("vid", "vid_was"), clears_numbers=True)),
}


async def shown(store: Store) -> list[Row]:
    """Every event as it is, by eid."""
    question = f"SELECT {', '.join(SHOWN)} FROM events ORDER BY CAST(eid AS VARCHAR)"  # noqa: S608 (our own names)
    answer: Answer = await store.query(question, max_rows=100_000, timeout_seconds=30)
    return [dict(zip(SHOWN, row, strict=True)) for row in answer.rows]


def as_shown(rows: Sequence[Row]) -> list[Row]:
    """The same of rows of ours."""
    return [{name: row[name] for name in SHOWN} for row in sorted(rows, key=lambda row: str(row["eid"]))]
