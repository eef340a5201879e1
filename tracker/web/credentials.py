"""Who asks: `uid:password` in an Authorization header, or in the path as the original's clients send it.

    Authorization: Basic base64("uid:password")
    Authorization: Bearer base64url("uid:password"), or Bearer uid:password

What was sent is judged here and goes nowhere else: into no message, log or row.
"""

import base64
import binascii
from typing import Protocol

from aiohttp import web

from tracker.errors import Denied, LockedOut, TrackerError
from tracker.records.accounts import Account
from tracker.web.addresses import client_address
from tracker.web.answers import header_lines
from tracker.web.settings import Networks

BAD_PASS, NO_UID, NO_PASSWORD = "Bad pass", "User ID not provided", "User pass not provided"
HEADER_ONLY = "give uid and password in an Authorization header, Basic or Bearer, not in the path"
UNREADABLE = "Authorization must be Basic or Bearer, with uid:password"
_ASK = header_lines(("WWW-Authenticate", 'Basic realm="tracker", charset="UTF-8"'))


class AccountChecker(Protocol):
    """What knows the accounts; see `records.accounts.Accounts`."""

    async def check(self, uid_text: str, password: str, address: str) -> Account:
        """The account that these credentials open. Raises Denied, LockedOut, RecordsUnavailable."""


class Refused(TrackerError):
    """The credentials are not enough: the answer is this status and reason, with these header lines."""

    def __init__(self, status: int, reason: str, head: bytes = b"") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.head = head


class Credentials:
    """Judges the credentials of requests; a header goes before the path."""

    def __init__(
        self, accounts: AccountChecker, trusted_proxies: Networks = (), *, may_be_in_path: bool = True
    ) -> None:
        self._accounts = accounts
        self._trusted = trusted_proxies
        self._may_be_in_path = may_be_in_path

    async def account(self, request: web.BaseRequest, path_uid: str = "", path_password: str = "") -> Account:
        """The account that asks; the path's words come decoded, '' where there is none.

        Raises Refused (401, of the path's form 400 with the original's text, 429) and RecordsUnavailable.
        """
        header = request.headers.get("Authorization", "")
        if not header:
            return await self._by_path(request, path_uid, path_password)
        uid, password = _said(header)
        return await self._checked(request, uid, password, Refused(401, BAD_PASS, _ASK))

    async def _by_path(self, request: web.BaseRequest, uid: str, password: str) -> Account:
        if not uid and not password:
            raise Refused(401, NO_UID, _ASK)
        if not self._may_be_in_path:
            raise Refused(401, HEADER_ONLY, _ASK)
        if not uid or not password:
            raise Refused(400, NO_PASSWORD if uid else NO_UID)
        return await self._checked(request, uid, password, Refused(400, BAD_PASS))

    async def _checked(self, request: web.BaseRequest, uid: str, password: str, refusal: Refused) -> Account:
        try:
            return await self._accounts.check(uid, password, self._address(request))
        except Denied:
            raise refusal from None
        except LockedOut as error:
            wait = header_lines(("Retry-After", str(error.retry_after_seconds)))
            raise Refused(429, error.reason, wait) from None

    def _address(self, request: web.BaseRequest) -> str:
        headers = {name.lower(): ", ".join(request.headers.getall(name)) for name in request.headers}
        peer = request.transport.get_extra_info("peername") if request.transport else None
        nearest = peer[0] if peer and not isinstance(peer, str) else ""
        return client_address(headers, nearest, self._trusted)


def _said(header: str) -> tuple[str, str]:
    """Uid and password of an Authorization header. Raises Refused."""
    scheme, _, sent = header.strip().partition(" ")
    sent = sent.strip()
    if scheme.lower() == "basic":
        text = _decoded(sent, altchars=None)
    elif scheme.lower() == "bearer":
        text = sent if ":" in sent else _decoded(sent, altchars=b"-_")
    else:
        raise Refused(401, UNREADABLE, _ASK)
    uid, colon, password = text.partition(":")
    if not colon:
        raise Refused(401, UNREADABLE, _ASK)
    if not uid or not password:
        raise Refused(401, NO_PASSWORD if uid else NO_UID, _ASK)
    return uid, password


def _decoded(sent: str, altchars: bytes | None) -> str:
    padded = sent.rstrip("=") + "=" * (-len(sent.rstrip("=")) % 4)
    try:
        return base64.b64decode(padded.encode("ascii"), altchars, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise Refused(401, UNREADABLE, _ASK) from None
