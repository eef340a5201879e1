"""What becomes of rows that wait, by the same rules as in the stores: see `tracker.tables.persons`."""

import re

import orjson

from tracker.parts import table_of
from tracker.tables import CATALOGUE
from tracker.tables.persons import Person, is_of, without_mentions

GONE = b""


class PersonJudge:
    """Says of lines of JSON which are one person's. A line that is no JSON object is left alone."""

    def __init__(self, person: Person) -> None:
        self._person = person
        self._tables = frozenset(person.tables())
        words = [re.escape(orjson.dumps(word)[1:-1]) for word in sorted(person.words)]
        self._words = re.compile(b"|".join(words)) if words else None

    def may_concern(self, data: bytes) -> bool:
        """False when surely no line names the person."""
        return self._words is not None and self._words.search(data) is not None

    def line(self, table: str, line: bytes) -> bytes:
        """The line, one without the person's name, or nothing."""
        table = table_of(table)
        if table not in self._tables or table not in CATALOGUE:
            return line
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            return line
        if not isinstance(row, dict):
            return line
        if is_of(self._person, table, row):
            return GONE
        left = without_mentions(self._person, table, row)
        return line if left == row else orjson.dumps(left)
