"""The command line: what may be typed, and which exit code every ending has. The work lies in `commands`.

0 done, 1 failed or partly refused, 2 typed wrongly or not available, 78 unusable configuration, 130 Ctrl-C.
"""

import asyncio
import io
import os
import sys
from collections.abc import Callable, Sequence

from tracker.errors import ConfigError, TrackerError

FAILED, BAD_CONFIG, INTERRUPTED = 1, 78, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and say how it ended."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    _never_fail_on_a_character()
    return _guarded(lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> int:
    # Imported late: --version must not wait for parsers of commands that nobody typed.
    from tracker.commands.parsing import parse

    action = parse(arguments)
    outcome = action()
    return outcome if isinstance(outcome, int) else asyncio.run(outcome)


def _guarded(run: Callable[[], int]) -> int:
    try:
        code = run()
        sys.stdout.flush()
    except ConfigError as failure:
        return _said(failure, BAD_CONFIG)
    except TrackerError as failure:
        return _said(failure, FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough; the interpreter must not try to flush the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def _said(failure: TrackerError, code: int) -> int:
    print(f"tracker: {failure}", file=sys.stderr)
    return code


def _never_fail_on_a_character() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
