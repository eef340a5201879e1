"""Which hosts were written down lately, so that a busy site does not write its name with every event."""

from collections import OrderedDict

_MOST_HOSTS = 4096
_REMEMBERED_SECONDS = 3600.0


class KnownHosts:
    """A bounded memory of hosts whose names were stored; the oldest are forgotten first."""

    def __init__(self) -> None:
        self._stored_at: OrderedDict[str, float] = OrderedDict()

    def unknown(self, host: str, now: float) -> str:
        """The host if its name should be written down (again), else ''."""
        stored_at = self._stored_at.get(host)
        return host if stored_at is None or now - stored_at >= _REMEMBERED_SECONDS else ""

    def remember(self, host: str, now: float) -> None:
        """The host's name is durable; not to be called earlier."""
        self._stored_at[host] = now
        self._stored_at.move_to_end(host)
        if len(self._stored_at) > _MOST_HOSTS:
            self._stored_at.popitem(last=False)
