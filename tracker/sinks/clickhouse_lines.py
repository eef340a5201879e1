"""Rows that ClickHouse streams: whole lines made of pieces, and whether the answer was whole. Pure.

An answer over HTTP can end early in ways that HTTP does not show: a connection that is closed where no
length was announced, an error's text behind a 200, a proxy. So the rows are asked for as one array of JSON,
whose last bracket is written only when the statement has ended well.
"""

from tracker.sinks.clickhouse_engine import Settings, Unreachable

AS_ARRAY: Settings = {"output_format_json_array_of_rows": 1, "http_write_exception_in_output_format": 0}
"""The second: an error must not be written as one more row, and the bracket behind it."""
_FIRST, _LAST = b"[\n", b"]\n"


class Lines:
    """Lines of whatever ends early with an error of its own."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, piece: bytes) -> bytes:
        """The whole lines that there are now, perhaps none."""
        lines, end, self._rest = (self._rest + piece).rpartition(b"\n")
        return lines + end

    def end(self) -> None:
        """Raise Unreachable when that was not all."""
        if self._rest:
            raise broken_off()


class ArrayLines(Lines):
    """Lines of an array of rows, without its brackets and commas. Raises Unreachable for anything else."""

    def __init__(self) -> None:
        super().__init__()
        self._is_begun = self._is_ended = False

    def take(self, piece: bytes) -> bytes:
        """As `Lines.take`."""
        lines = super().take(piece)
        if self._is_ended:
            raise broken_off()
        if lines and not self._is_begun:
            if not lines.startswith(_FIRST):
                raise broken_off()
            self._is_begun, lines = True, lines.removeprefix(_FIRST)
        if lines == _LAST or lines.endswith(b"\n" + _LAST):
            self._is_ended, lines = True, lines.removesuffix(_LAST)
        if lines == b"\n":  # an array without rows has an empty line
            return b""
        if lines and (not lines.startswith(b"{") or lines.count(b"\n{") + 1 != lines.count(b"\n")):
            raise broken_off()
        return lines.replace(b"},\n", b"}\n")

    def end(self) -> None:
        """As `Lines.end`."""
        super().end()
        if not self._is_ended:
            raise broken_off()


def broken_off() -> Unreachable:
    """It ended too early."""
    return Unreachable("the answer broke off", is_unknown=True)
