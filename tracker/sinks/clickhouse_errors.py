"""What ClickHouse's errors ask of the caller: one table of codes, translated once, here.

The texts of errors quote values of rows. What is passed on is the name of the error, the column and, where
no row can be meant, the first words.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from tracker.errors import SinkUnavailable
from tracker.sinks.clickhouse_engine import Complaint, Unreachable


class Undecided(Exception):
    """An answer that nobody has decided on: a bug of this program. Its message has no values of rows."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(f"clickhouse answered {name_of(complaint)} (code {complaint.code})")


class Meaning(Enum):
    """What an error says about store, table and rows."""

    CLOSED = "the store does not let this program in or does not run the statement: nothing was begun"
    AWAY = "the store as a whole cannot work now; what was begun may be there in part"
    BUSY = "the store has no room for this statement now"
    TABLE = "this table cannot take rows now"
    SHAPE = "the table is not what the statement expects"
    ROWS = "some row does not fit"


@dataclass(frozen=True, slots=True)
class Reaction:
    """What one code means and why it is taken so."""

    meaning: Meaning
    why: str
    retry_after_seconds: float | None = None


def _all(meaning: Meaning, why: str, *codes: int, after: float | None = None) -> dict[int, Reaction]:
    return dict.fromkeys(codes, Reaction(meaning, why, after))


REACTIONS: Mapping[int, Reaction] = MappingProxyType(
    {
        # who may come in
        **_all(Meaning.CLOSED, "user or password are wrong", 192, 193, 194, 516),
        **_all(Meaning.CLOSED, "this address may not come in", 195, 291),
        **_all(Meaning.CLOSED, "the user may not do this", 497, 392, 620),
        **_all(Meaning.CLOSED, "the user may only read, or may not change settings", 164, 452),
        **_all(Meaning.CLOSED, "the user has expired or must do more to come in", 720, 767),
        **_all(Meaning.CLOSED, "the database is not there, a start may still be under way", 81),
        **_all(Meaning.CLOSED, "its version is too old for a setting", 115),
        **_all(Meaning.CLOSED, "the cluster's name is not known to this server", 170, 701),
        # the store as a whole
        **_all(Meaning.AWAY, "it is shutting down, or stopped the statement", 236, 394, 677, 735, 734),
        **_all(Meaning.AWAY, "it is starting", 667, 695, 696, 722, 1004),
        **_all(Meaning.AWAY, "it took too long", 159, 160, 209, 718),
        **_all(
            Meaning.AWAY, "its network or another server of it failed", 95, 96, 198, 210, 279, 297, 410, 519
        ),
        **_all(Meaning.AWAY, "one of its shards failed", 904, 1018),
        **_all(Meaning.AWAY, "what was sent did not arrive whole", 3, 40, 101, 271, 618),
        **_all(Meaning.AWAY, "a library of it failed", 1000, 1001, 1002),
        **_all(Meaning.AWAY, "its disk is full or fails", 74, 75, 76, 77, 172, 204, 243, 294, 425, 499, 586),
        **_all(Meaning.AWAY, "its coordination (Keeper) is away", 225, 244, 999),
        **_all(Meaning.AWAY, "too few replicas answer", 254, 265, 285, 286, 289, 319, 369),
        # no room now
        **_all(
            Meaning.BUSY, "too many statements at once", 202, 203, 439, 700, 745, 749, 762, 1019, after=1.0
        ),
        **_all(Meaning.BUSY, "its memory is used up", 173, 241, 777, 778, 1020, after=5.0),
        **_all(Meaning.BUSY, "a quota or limit of the user is used up", 201, 290, 396, 776, after=30.0),
        **_all(Meaning.BUSY, "statements to other shards wait already", 574, after=5.0),
        # this table
        **_all(Meaning.TABLE, "too many parts wait for merging", 252, after=10.0),
        **_all(Meaning.TABLE, "it is read-only, as without Keeper", 242, 774, after=10.0),
        **_all(Meaning.TABLE, "it is locked, or being restarted", 384, 473, 733, 738, after=2.0),
        **_all(Meaning.TABLE, "it has reached its size", 1016, after=60.0),
        # its shape
        **_all(Meaning.SHAPE, "no such table", 60, 218),
        **_all(Meaning.SHAPE, "no such column", 8, 10, 16, 47),
        **_all(Meaning.SHAPE, "other columns or engine", 1, 20, 44, 48, 50, 70, 122, 727, 728, 772),
        # rows
        **_all(Meaning.ROWS, "cannot be read as the column's type", 6, 25, 26, 27, 38, 41, 53, 72, 376, 467),
        **_all(Meaning.ROWS, "an address that is none", 441, 675, 676),
        **_all(Meaning.ROWS, "ends in the middle", 32, 33),
        **_all(Meaning.ROWS, "out of bounds", 69, 131, 128, 321, 407),
        **_all(Meaning.ROWS, "no JSON that the table takes", 117, 130, 167, 306, 563, 632, 691, 760),
        **_all(Meaning.ROWS, "bad argument", 36, 43),
        **_all(Meaning.ROWS, "a constraint of the table", 395, 469, 349),
    }
)
"""Code -> what to do. A code that is not here is a bug of this program until someone has decided on it."""

_NO_CODE = Reaction(Meaning.AWAY, "its answer is cut off, or not that of ClickHouse")
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)(?: \(version [^\n]*\))?$")
_ROW = re.compile(r"\(at row (\d+)\)")
_COLUMN = re.compile(r"while reading the value of key ([A-Za-z_][A-Za-z0-9_]{0,63})\)")
_HEAD = re.compile(r"^.*?DB::Exception: ", re.DOTALL)
_MOST_CHARACTERS = 160


def reaction(complaint: Complaint) -> Reaction | None:
    """What the code asks for; None when nobody has decided on it and it names no row."""
    if complaint.code is None:
        return _NO_CODE
    known = REACTIONS.get(complaint.code)
    if known is None and row_of(complaint) is not None:
        return Reaction(Meaning.ROWS, "does not fit")
    return known


def is_never_begun(error: Complaint | Unreachable) -> bool:
    """The statement did not start, so nothing of it can be there."""
    if isinstance(error, Unreachable):
        return not error.is_unknown
    known = reaction(error)
    return known is not None and known.meaning is Meaning.CLOSED


def is_away(error: Complaint | Unreachable) -> bool:
    """The server as a whole does not work, or does not let this program in."""
    if isinstance(error, Unreachable):
        return True
    known = reaction(error)
    return known is not None and known.meaning in (Meaning.CLOSED, Meaning.AWAY)


def row_of(complaint: Complaint) -> int | None:
    """The row the store blames, 0 is the first; None when it names none."""
    found = _ROW.search(complaint.text)
    return int(found[1]) - 1 if found else None


def name_of(complaint: Complaint) -> str:
    """`TOO_MANY_PARTS`, else the number."""
    found = _NAME.search(complaint.text.strip())
    return found[1] if found else f"code {complaint.code}"


def row_reason(complaint: Complaint) -> str:
    """Why a row does not fit, without any of its values."""
    known = reaction(complaint)
    why = known.why if known else "does not fit"
    column = _COLUMN.search(complaint.text)
    return f"column {column[1]}: {why}" if column else f"{why} ({name_of(complaint)})"


def unavailable(error: Complaint | Unreachable, place: str) -> SinkUnavailable:
    """For what may work later. Raises Undecided for a complaint that waiting does not end."""
    if isinstance(error, Unreachable):
        return SinkUnavailable(f"clickhouse {place}: {error.reason}")
    known = reaction(error)
    if known is None or known.meaning in (Meaning.SHAPE, Meaning.ROWS):
        raise Undecided(error) from None
    return SinkUnavailable(
        f"clickhouse {place}: {known.why} ({words_of(error)})",
        known.retry_after_seconds,
        is_connection=is_away(error),
    )


def words_of(complaint: Complaint) -> str:
    """The error's name and its first line, cut: not for errors about rows, whose values it has."""
    text = _HEAD.sub("", complaint.text.strip()).partition("\n")[0]
    return f"{name_of(complaint)}: {text[:_MOST_CHARACTERS]}"
