"""A running server as its users reach it: calls over HTTP, questions by `python -m tracker sql`."""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from tests.support.typed import typed_here
from tracker.steps.ids import NAMESPACE

WAIT_SECONDS = 30.0
"""How long rows may take from their acknowledgement to the store."""
CALL_SECONDS = 30.0
_IDS = frozenset({"vid", "uid", "oid", "orid", "eid"})
"""Columns of ids: what was sent may be a text that names one."""


class Failed(Exception):
    """The server does not do what the README says; the message has the call and what came."""


class Answer(NamedTuple):
    """What a call came back with."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body in words."""
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """The body's value. Raises Failed when it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise Failed(f"no JSON: {self.text[:200]}") from None


class Login(NamedTuple):
    """An account, for as long as a check runs."""

    uid: str
    password: str


@dataclass(frozen=True)
class Site:
    """One server. `run` is new each time, so that a run finds its own rows only."""

    url: str
    config: Path
    run: str = field(default_factory=lambda: secrets.token_hex(4))

    def named(self, text: str) -> str:
        """A readable id of this run, as people write them: `user-123-9f3c21ab`."""
        return f"{text}-{self.run}"

    def get(self, path: str, *, status: int = 200, host: str = "", **headers: str) -> Answer:
        """GET. Raises Failed when the status is another."""
        return self._call("GET", path, None, status, {**headers, **({"Host": host} if host else {})})

    def post(self, path: str, body: Any, *, status: int = 200, **headers: str) -> Answer:
        """POST of a JSON value. Raises Failed when the status is another."""
        sent = {"Content-Type": "application/json", **headers}
        return self._call("POST", path, json.dumps(body).encode(), status, sent)

    def _call(
        self, method: str, path: str, body: bytes | None, status: int, headers: Mapping[str, str]
    ) -> Answer:
        parts = urlsplit(self.url)
        form = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = form(parts.netloc, timeout=CALL_SECONDS)
        try:
            connection.request(method, path, body, dict(headers))
            got = connection.getresponse()
            answer = Answer(got.status, dict(got.getheaders()), got.read())
        except (OSError, HTTPException) as problem:
            raise Failed(f"{self.url}: {problem}") from problem
        finally:
            connection.close()
        route = "/".join(path.split("?")[0].split("/")[:5])  # what follows may be a password
        expect(
            answer.status == status,
            f"{method} {route}: {answer.status} {answer.text[:200]}, expected {status}",
        )
        return answer

    def rows(self, table: str, columns: str = "*", **where: str) -> list[dict[str, Any]]:
        """Rows in which these columns have these values, ids as they were sent. Raises Failed."""
        told = [f"{name} = '{stored_id(value) if name in _IDS else value}'" for name, value in where.items()]
        question = f"SELECT {columns} FROM {table} WHERE {' AND '.join(told) or '1 = 1'}"  # noqa: S608 (ours)
        done = typed_here("sql", "--config", str(self.config), "--json", "--max-rows", "100000", question)
        expect(done.code == 0, f"tracker sql: {done.err.strip()}")
        found: list[dict[str, Any]] = json.loads(done.out)
        return found

    def wait_for(self, count: int, table: str, columns: str = "*", **where: str) -> list[dict[str, Any]]:
        """The rows as soon as there are so many. Raises Failed when they never are, or are more."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                found = self.rows(table, columns, **where)
                if len(found) >= count or time.monotonic() > deadline:
                    break
            except Failed:  # the store may be starting
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)
        expect(len(found) == count, f"{table}: {len(found)} rows of {where}, expected {count}")
        return found

    @contextmanager
    def account(self, host: str) -> Iterator[Login]:
        """An account that owns a host; disabled at the end."""
        password = secrets.token_urlsafe(12)
        told = self._accounts("add", "--hosts", host, "--password-stdin", stdin=f"{password}\n")
        login = Login(told.split()[-1], password)
        try:
            yield login
        finally:
            self._accounts("disable", login.uid)

    def _accounts(self, action: str, *words: str, stdin: str = "") -> str:
        command = (sys.executable, "-m", "tracker", "accounts", action, "--config", str(self.config), *words)
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        expect(done.returncode == 0, f"tracker accounts {action}: {done.stderr.strip()}")
        return done.stdout


def stored_id(text: str) -> str:
    """The UUID that a text names, or is."""
    try:
        return str(UUID(text))
    except ValueError:
        return str(uuid5(UUID(NAMESPACE), text))


def expect(is_so: object, otherwise: str) -> None:
    """Raises Failed unless it is so."""
    if not is_so:
        raise Failed(otherwise)
