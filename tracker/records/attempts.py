"""Wrong credentials, counted: who must wait before more are looked at. Time is passed in.

Counted are the pair of account and address, the address, and the account. After some free failures each
further one doubles the wait, up to a bound, and counts are forgotten after an hour without a failure. Nobody
can lock an owner out for good: an address from which the right password came within a day waits only for its
own failures with this account, a minute at most, and elsewhere an account as a whole is closed for a minute.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from tracker.records.bounded import Bounded

REMEMBERED_SECONDS = 3600.0
TRUSTED_SECONDS = 86_400.0
_MOST = 20_000
_MOST_BYTES = 8 * 1024 * 1024
_ENTRY_BYTES = 300


@dataclass(frozen=True, slots=True)
class Rule:
    """How many failures are free, and how long the wait may become."""

    free: int
    most_seconds: float

    def wait(self, failures: int) -> float:
        """Seconds after the last of so many failures."""
        over = failures - self.free
        return min(self.most_seconds, 2.0 ** min(over, 30)) if over >= 0 else 0.0


PAIR, TRUSTED_PAIR = Rule(5, 900.0), Rule(5, 60.0)
ADDRESS, ACCOUNT = Rule(30, 900.0), Rule(100, 60.0)

_Name = tuple[str, str]
_Count = tuple[int, float]
"""Failures, and when the last one was."""


class Attempts:
    """Bounded: of the least recent failures 20,000 are remembered, and as many addresses that did well."""

    def __init__(self) -> None:
        self._failures: Bounded[_Name, _Count] = Bounded(_MOST, _MOST_BYTES)
        self._trusted: Bounded[_Name, float] = Bounded(_MOST, _MOST_BYTES)

    def wait(self, uid: str, address: str, now: float) -> float:
        """Seconds until credentials for this account from this address are looked at, 0 for at once."""
        return max(0.0, *(self._left(name, rule, now) for name, rule in self._counted(uid, address, now)))

    def failed(self, uid: str, address: str, now: float) -> None:
        """Wrong credentials; also to be called before any are looked at, so that many at once count."""
        place = _network(address)
        for name in ((uid, place), ("", place), (uid, "")):
            count, _ = self._count(name, now)
            self._failures.keep(name, (count + 1, now), _ENTRY_BYTES)

    def succeeded(self, uid: str, address: str, now: float) -> None:
        """Right credentials: takes back the failure that was counted before they were looked at."""
        place = _network(address)
        self._failures.drop((uid, place))
        for name in (("", place), (uid, "")):
            count, at = self._count(name, now)
            self._failures.keep(name, (max(0, count - 1), at), _ENTRY_BYTES)
        self._trusted.keep((uid, place), now, _ENTRY_BYTES)

    def is_trusted(self, uid: str, address: str, now: float) -> bool:
        """The account's right password came from there within a day."""
        at = self._trusted.look((uid, _network(address)))
        return at is not None and now - at < TRUSTED_SECONDS

    def _counted(self, uid: str, address: str, now: float) -> Iterator[tuple[_Name, Rule]]:
        place = _network(address)
        is_trusted = self.is_trusted(uid, address, now)
        yield (uid, place), TRUSTED_PAIR if is_trusted else PAIR
        if not is_trusted:
            yield ("", place), ADDRESS
            yield (uid, ""), ACCOUNT

    def _left(self, name: _Name, rule: Rule, now: float) -> float:
        count, at = self._count(name, now)
        return rule.wait(count) - (now - at)

    def _count(self, name: _Name, now: float) -> _Count:
        found = self._failures.look(name)
        return found if found is not None and now - found[1] < REMEMBERED_SECONDS else (0, now)


def _network(address: str) -> str:
    """An IPv4 address, or the /64 that an IPv6 address is one of."""
    try:
        found = ip_address(address)
    except ValueError:
        return "?"
    if found.version == 4:
        return str(found)
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped) if mapped else str(ip_address((int(found) >> 64) << 64))
