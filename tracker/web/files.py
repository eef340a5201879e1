"""pub: files of one folder, each answer a tracked client event; listings and hidden files are not given."""

import asyncio
from concurrent.futures import Executor
from pathlib import Path
from urllib.parse import unquote

from aiohttp import web
from multidict import CIMultiDict

from tracker.web.answers import text_answer
from tracker.web.requests import raw_path_of
from tracker.web.tracking import Tracking, TrackingParts


def find_file(folder: Path, inside: str) -> Path | None:
    """The regular file that a decoded path names inside the folder (already resolved), else None."""
    parts = inside.split("/")
    if "\0" in inside or "\\" in inside or any(part.startswith(".") for part in parts):
        return None
    try:
        path = folder.joinpath(*parts).resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return path if path.is_relative_to(folder) and path.is_file() else None


def response_headers(lines: bytes) -> CIMultiDict[str]:
    """Ready-made header lines in the form that aiohttp's own responses take."""
    headers: CIMultiDict[str] = CIMultiDict()
    for line in lines.decode().splitlines():
        name, _, value = line.partition(": ")
        headers.add(name, value)
    return headers


class Files:
    """The handlers of pub."""

    def __init__(self, folder: Path, prefix: str, executor: Executor, parts: TrackingParts) -> None:
        self._folder = folder.resolve()
        self._prefix = prefix
        self._executor = executor
        self._tracking = Tracking("pub", parts)
        self.counts = self._tracking.counts
        self._reader = parts.reader

    async def send_tracked(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET: the file, and an event about it."""
        path = await self._find(request)
        if path is None:
            return self._not_found(request)
        lines = await self._tracking.head_for_file(request)
        return web.FileResponse(path, headers=response_headers(lines))

    async def send(self, request: web.BaseRequest) -> web.StreamResponse:
        """HEAD: what the file is like, without an event."""
        path = await self._find(request)
        if path is None:
            return self._not_found(request)
        return web.FileResponse(path, headers=response_headers(self._reader.surroundings(request).cors))

    async def _find(self, request: web.BaseRequest) -> Path | None:
        inside = unquote(raw_path_of(request.raw_path), errors="replace").removeprefix(self._prefix)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, find_file, self._folder, inside)

    def _not_found(self, request: web.BaseRequest) -> web.StreamResponse:
        return text_answer(404, "no such file", self._reader.surroundings(request).cors)
