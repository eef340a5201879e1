"""One thread that runs the spool's calls in order and hands each answer back to the event loop."""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
_JOBS_BEFORE_CHORES = 16
_CHORES_EVERY_SECONDS = 60.0


class Outcome(Generic[T]):
    """What a job came to: a value or the exception it raised."""

    __slots__ = ("error", "value")

    def __init__(self, value: T | None, error: BaseException | None) -> None:
        self.value = value
        self.error = error


class Worker:
    """Made on the event loop that will get its answers. `chore` is one short step of work that can wait, done
    when no job does (or after some jobs in a row, or after a minute without any): it returns True while there
    is more."""

    def __init__(self, name: str, chore: Callable[[], bool] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Outcome[Any]], None]] | None]
        self._jobs = queue.SimpleQueue()
        self._chore = chore
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def post(self, job: Callable[[], T], then: Callable[[Outcome[T]], None]) -> None:
        """Run the job after those before it, then call `then` on the loop."""
        self._jobs.put((job, then))

    def submit(self, job: Callable[[], T]) -> "asyncio.Future[T]":
        """Run the job after those before it; the future has its value or exception. A cancelled future does
        not stop the job."""
        future: asyncio.Future[T] = self._loop.create_future()

        def resolve(outcome: Outcome[T]) -> None:
            if future.done():
                return
            if outcome.error is not None:
                future.set_exception(outcome.error)
            else:
                future.set_result(outcome.value)  # type: ignore[arg-type]  # without an error it is a T

        self.post(job, resolve)
        return future

    def stop(self) -> None:
        """Finish the jobs that are queued, then end. Waits for that; safe twice."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        in_a_row, has_chores = 0, self._chore is not None
        while True:
            if has_chores and (in_a_row >= _JOBS_BEFORE_CHORES or self._jobs.empty()):
                in_a_row, has_chores = 0, self._do_chore()
                continue
            try:
                job = self._jobs.get(timeout=_CHORES_EVERY_SECONDS)
            except queue.Empty:  # what grows old does so without jobs too
                has_chores = self._chore is not None
                continue
            if job is None:
                return
            in_a_row, has_chores = in_a_row + 1, self._chore is not None
            self._answer(job[1], _outcome(job[0]))

    def _do_chore(self) -> bool:
        try:
            return self._chore is not None and self._chore()
        except Exception:  # the thread that commits must go on; it is tried again
            log.exception("spool housekeeping failed")
            return False

    def _answer(self, then: Callable[[Outcome[Any]], None], outcome: Outcome[Any]) -> None:
        try:
            self._loop.call_soon_threadsafe(then, outcome)
        except RuntimeError:
            if not self._loop.is_closed():
                raise


def _outcome(job: Callable[[], T]) -> Outcome[T]:
    try:
        return Outcome(job(), None)
    except Exception as err:  # it belongs to whoever asked, who gets it on the loop
        return Outcome(None, err)
