"""On which thread a function of the spool runs: a server has its own for it, other processes need none."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Run(Protocol):
    """Runs a function of the spool on the thread that may call it."""

    def __call__(self, function: Callable[..., T], /, *args: Any) -> Awaitable[T]:
        """What the function returns or raises."""


async def directly(function: Callable[..., T], /, *args: Any) -> T:
    """Run it here and now: for a process that has the spool to itself."""
    return function(*args)
