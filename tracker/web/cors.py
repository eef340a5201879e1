"""Which origins may read our answers, as ready-made header lines; sending them is `answers`' business."""

from tracker.web.answers import header_lines

_ALLOWED = ("Authorization", "Accept", "User", "Content-Type", "Content-Encoding", "Idempotency-Key")
_PREFLIGHT = (
    ("Access-Control-Allow-Headers", ",".join(_ALLOWED)),
    ("Access-Control-Allow-Methods", "GET,POST,HEAD"),
    ("Access-Control-Max-Age", "1728000"),
)


class Cors:
    """`*` without credentials, or concrete origins (separated by commas) with them.

    A browser refuses `*` together with credentials, so cookies cross sites only for origins that are named.
    """

    def __init__(self, allow_origin: str) -> None:
        origins = [origin for part in allow_origin.split(",") if (origin := part.strip())]
        self._any = "*" in origins
        self._by_origin = {origin.lower(): _with_credentials(origin) for origin in origins}
        self._no_match = header_lines(("Vary", "Origin"))
        self.preflight = header_lines(*_PREFLIGHT)

    def lines_for(self, origin: str) -> bytes:
        """The header lines for a request with this Origin ('' for none)."""
        if self._any:
            return _ANY
        if not origin and len(self._by_origin) == 1:
            return next(iter(self._by_origin.values()))
        return self._by_origin.get(origin.lower(), self._no_match)


_ANY = header_lines(("Access-Control-Allow-Origin", "*"))


def _with_credentials(origin: str) -> bytes:
    return header_lines(
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Vary", "Origin"),
    )
