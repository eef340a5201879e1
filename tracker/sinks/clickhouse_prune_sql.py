"""What pruning runs in ClickHouse, as SQL. It runs nothing."""

from dataclasses import dataclass

from tracker.sinks import pruning_sql
from tracker.sinks.clickhouse_cluster_form import Place
from tracker.sinks.clickhouse_sql import literal
from tracker.sinks.pruning import HASH, Rule
from tracker.tables import Default, Kind

_CASTS = {
    Kind.UUID: "toUUID({})",
    Kind.TIMESTAMP: "toDateTime64({}, 3, 'UTC')",
    Kind.NANOTIME: "toDateTime64({}, 9, 'UTC')",
    Kind.DATE: "toDate({})",
    Kind.DECIMAL: "toDecimal128({}, 9)",
}


class ClickHouseDialect:
    """As ClickHouse says it."""

    def value(self, kind: Kind, value: Default) -> str:
        """As `Dialect.value`."""
        if isinstance(value, bool):
            return str(value).lower()
        text = literal(value.removesuffix("Z")) if isinstance(value, str) else repr(value)
        return _CASTS.get(kind, "{}").format(text)

    def is_filled(self, column: str) -> str:
        """As `Dialect.is_filled`: of a document or an array."""
        return f"toString({column}) NOT IN ('{{}}', '[]')"

    def text(self, column: str) -> str:
        """As `Dialect.text`."""
        return f"toString({column})"

    def has_other_params(self, hash_keys: tuple[str, ...]) -> str:
        """As `Dialect.has_other_params`. It depends on no setting, for a mutation runs without them."""
        known = f"CAST([{', '.join(map(literal, hash_keys))}], 'Array(String)')"
        others = [
            f"(has(JSONAllPaths(params), {literal(key)}) AND NOT "
            f"match(ifNull(toString(params.`{key}`), ''), {literal(f'^{HASH}$')}))"
            for key in hash_keys
        ]
        return f"({' OR '.join((f'NOT hasAll({known}, JSONAllPaths(params))', *others))})"

    def has_numbers(self) -> str:
        """As `Dialect.has_numbers`: a path without a dot is a key at the top."""
        types = "JSONAllPathsWithTypes(params)"
        is_number = "position(p, '.') = 0 AND match(t, '^(U?Int|Float)[0-9]+$')"
        return f"arrayExists((p, t) -> {is_number}, mapKeys({types}), mapValues({types}))"

    def bits(self, column: str, mask: int) -> str:
        """As `Dialect.bits`."""
        return f"bitAnd({column}, toInt64({mask}))"


SAY = ClickHouseDialect()


@dataclass(frozen=True, slots=True)
class Statements:
    """What a rule runs at one place."""

    rule: Rule
    place: Place

    @property
    def counts(self) -> str:
        """A question for the rows, the due ones, and the time of the oldest of these."""
        due = pruning_sql.is_due(self.rule, SAY)
        oldest = f"if(countIf({due}) = 0, '', toString(minIf({self.rule.time}, {due})))"
        return f"SELECT count(), countIf({due}), {oldest} FROM {self._rows}"  # noqa: S608 (names of the catalogue, quoted values)

    @property
    def due_rows(self) -> str:
        """A question for every column of the due rows."""
        columns = ", ".join(self.rule.table.kinds())
        return f"SELECT {columns} FROM {self._rows} WHERE {pruning_sql.is_due(self.rule, SAY)}"  # noqa: S608 (as above)

    def last(self, rows: int) -> str:
        """As `pruning_sql.last_of`."""
        return pruning_sql.last_of(self.rule, SAY, self._rows, rows)

    @property
    def delete(self) -> str:
        """The mutation that deletes what is due: every stored version of a row whose current one is."""
        return f"{self._alter} DELETE WHERE {self._where_current(pruning_sql.is_due(self.rule, SAY))}"

    @property
    def delete_full(self) -> str:
        """The mutation that deletes full rows whose emptied ones are there."""
        emptying = self.rule.emptying
        full = pruning_sql.is_full(emptying, SAY) if emptying else "true"
        done = f"{pruning_sql.is_old(self.rule, SAY)} AND NOT {full}"
        return f"{self._alter} DELETE WHERE {full} AND {self._in_current(done)}"

    @property
    def full_rows(self) -> str:
        """A question for how many full rows are stored, also those that no question sees."""
        full = pruning_sql.is_full(self.rule.emptying, SAY) if self.rule.emptying else "false"
        table = self.place.table(self.rule.table.name)
        return f"SELECT count() FROM {table} WHERE {pruning_sql.is_old(self.rule, SAY)} AND {full}"  # noqa: S608 (as above)

    def _where_current(self, condition: str) -> str:
        is_versioned = self.rule.table.version is not None
        return self._in_current(condition) if is_versioned else condition

    def _in_current(self, condition: str) -> str:
        key = ", ".join(self.rule.table.key)
        return f"({key}) IN (SELECT {key} FROM {self._stored} FINAL WHERE {condition})"  # noqa: S608 (as above)

    @property
    def _alter(self) -> str:
        return f"ALTER TABLE {self._stored}{self.place.everywhere}"

    @property
    def _stored(self) -> str:
        return self.place.stored(self.rule.table.name)

    @property
    def _rows(self) -> str:
        return f"{self.place.table(self.rule.table.name)} FINAL"
