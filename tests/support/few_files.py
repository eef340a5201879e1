"""Programs that may open few files: `python -m tests.support.few_files config.json` is the tracker.

With `front` instead of a file it is the web front alone, without any store, which prints its port.
"""

import asyncio
import logging
import resource
import sys

import uvloop

from tests.support.web import front
from tracker import cli

FILES = 200
SERVED_SECONDS = 600


async def _front() -> None:
    async with front() as web:
        print(web.serving.port, flush=True)
        await asyncio.sleep(SERVED_SECONDS)


def main() -> int:
    """The exit code."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    if sys.argv[1:] != ["front"]:
        return cli.main(sys.argv[1:])
    logging.basicConfig()
    uvloop.run(_front())
    return 0


if __name__ == "__main__":
    sys.exit(main())
