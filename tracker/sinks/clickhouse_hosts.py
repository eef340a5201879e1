"""Which of several servers a batch goes to: decided here, acted on in the sink. Pure; time is passed in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

REST_SECONDS = 10.0
"""How long a server that failed is left alone while another one works."""


@dataclass(frozen=True, slots=True)
class Home:
    """The server that may have a batch, as it was sent there and no clear answer came; None: none has it."""

    batch: str
    host: int | None


@dataclass(frozen=True, slots=True)
class Hosts:
    """What is known of the servers, numbered in their configured order.

    Servers that are no replicas of each other know nothing of each other's rows: a batch that one of them may
    have goes to no other.
    """

    count: int
    are_replicas: bool = False
    rests_until: Mapping[int, float] = field(default_factory=dict)
    """Servers that failed -> when they are tried again before others."""
    homes: Mapping[str, Home] = field(default_factory=dict)
    """By table, since of each table one batch at a time is under way."""

    def order(self, now: float) -> tuple[int, ...]:
        """All servers in the order in which to try them; those that rest come last."""
        resting = {host: until for host, until in self.rests_until.items() if until > now}
        well = (host for host in range(self.count) if host not in resting)
        return (*well, *sorted(resting, key=lambda host: (resting[host], host)))

    def is_doubtful(self, host: int) -> bool:
        """It failed last time: ask whether it is back before a batch waits for it."""
        return host in self.rests_until and self.count > 1

    def home(self, table: str, batch: str) -> int | None:
        """The server that may have this batch."""
        home = self.homes.get(table)
        return home.host if home and home.batch == batch else None

    def may_be_anywhere(self, table: str, batch: str, *, is_repeat: bool) -> bool:
        """It was sent by a process that has ended, to a server that nobody remembers."""
        home = self.homes.get(table)
        is_known = home is not None and home.batch == batch
        return is_repeat and self.count > 1 and not self.are_replicas and not is_known

    def failed(self, host: int, now: float) -> "Hosts":
        """It did not answer, or let nobody in."""
        return replace(self, rests_until={**self.rests_until, host: now + REST_SECONDS})

    def answered(self, host: int) -> "Hosts":
        """It works."""
        if host not in self.rests_until:
            return self
        left = {number: until for number, until in self.rests_until.items() if number != host}
        return replace(self, rests_until=left)

    def sent(self, table: str, batch: str, host: int) -> "Hosts":
        """The batch is on its way there: until there is an answer, that server may have it."""
        if self.are_replicas:
            return self
        return replace(self, homes={**self.homes, table: Home(batch, host)})

    def nowhere(self, table: str, batch: str) -> "Hosts":
        """No server has any of this batch: it may go to whichever works."""
        if self.are_replicas:
            return self
        return replace(self, homes={**self.homes, table: Home(batch, None)})

    def settled(self, table: str) -> "Hosts":
        """It is known what became of the table's batch."""
        if table not in self.homes:
            return self
        return replace(self, homes={name: home for name, home in self.homes.items() if name != table})
