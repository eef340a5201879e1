"""SQL to one server over HTTP, and waiting until a server or a whole cluster can answer it."""

import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from cluster.server_config import USER


class NoAnswer(Exception):
    """A server could not be asked, or answered with an error; the text is its own."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server on this machine's loopback."""

    port: int
    password: str = field(repr=False)

    def ask(self, sql: str, timeout_seconds: float = 30) -> list[list[str]]:
        """The rows of the answer, as text. Raises NoAnswer."""
        query = urlencode({"default_format": "TabSeparated"})
        headers = {"X-ClickHouse-User": USER, "X-ClickHouse-Key": self.password}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_seconds)
        try:
            connection.request("POST", f"/?{query}", sql.encode(), headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"127.0.0.1:{self.port}: {error}") from error
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise NoAnswer(f"127.0.0.1:{self.port}: {text.strip()[:300]}")
        return [line.split("\t") for line in text.splitlines()]


def until(is_so: Callable[[], bool], seconds: float) -> str | None:
    """Ask again until it is so; what stood in the way when the time was over, None when it is so."""
    deadline = time.monotonic() + seconds
    reason = "not yet"
    while True:
        try:
            if is_so():
                return None
        except NoAnswer as refusal:
            reason = str(refusal)
        if time.monotonic() > deadline:
            return reason
        time.sleep(0.3)


def is_ready(server: Server, cluster: str, servers: int) -> bool:
    """It answers, and knows all servers and reaches a Keeper where it has company. Raises NoAnswer."""
    if servers == 1:
        return server.ask("SELECT 1") == [["1"]]
    known = server.ask(f"SELECT count() FROM system.clusters WHERE cluster = '{cluster}'")  # noqa: S608 (checked name)
    server.ask("SELECT count() FROM system.zookeeper WHERE path = '/'")
    return known == [[str(servers)]]
