"""`python -m tests.support.clickhouse_reader FOLDER SQL`: rows of a stopped ClickHouse, as lines of JSON.

A process of its own, for a process can have one folder open.
"""

import sys
from typing import Any

import chdb

AS_STORED = "json_type_escape_dots_in_keys = 1, output_format_json_quote_64bit_integers = 0"


def main() -> None:
    """Ask, and print."""
    folder, sql = sys.argv[1:]
    handle: Any = chdb.connect(folder)  # type: ignore[no-untyped-call]
    handle.query(f"SET {AS_STORED}")
    handle.query("USE sfpla")
    sys.stdout.buffer.write(handle.query(sql, "JSONEachRow").bytes())
    handle.close()


if __name__ == "__main__":
    main()
