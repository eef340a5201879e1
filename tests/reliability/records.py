"""Clients that send what is no event: payments, short links and consents.

Payments are sent again after a broken-off request, as their ids, keys or orders make that harmless; a link
and a consent are not, since each is an act of its own.
"""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import aiohttp

from tests.reliability.clients import Client, Sent
from tests.reliability.judge import content_hash, entry

CURRENCIES = ("EUR", "USD", "JPY", "CHF")
AMOUNTS = "amounts"
"""Ending of the file in which a client of payments notes what each was worth."""


@dataclass(frozen=True, slots=True)
class Record:
    """Something as it is sent, with the rows that must be found for it."""

    body: Mapping[str, Any]
    rows: Mapping[str, str]
    """A row's key, with its table before a colon, to the hash of what it must say."""

    @property
    def line(self) -> str:
        """Its entries in a client's file."""
        return "".join(entry(key, digest) for key, digest in self.rows.items())


class PaymentClient(Client):
    """Pays: items of one's own id, items under a key, and items of an order; refunds among them."""

    async def request(self, session: aiohttp.ClientSession, sent: Sequence[Sent]) -> bool:
        """One body of several payments; sent again, it has the same key."""
        key = str(uuid.uuid5(uuid.NAMESPACE_OID, sent[0].line))
        items = [item.body for item in sent]
        call = session.post(
            "/tr/v1/ltv/", data=json.dumps({"payments": items}), headers={"Idempotency-Key": key}
        )
        async with call as answer:
            told = await answer.json(content_type=None) if answer.status == 200 else {}
            return bool(told.get("accepted") == len(sent))

    def made(self) -> Sent:
        """One payment, whose worth is noted before it is sent."""
        chance = self.chance
        proof = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        cents = Decimal(chance.randrange(-20_000, 100_000)) / 100
        body = {"uid": f"payer-{chance.randrange(50)}", "amt": str(cents), "proof": proof}
        body["currency"] = chance.choice(CURRENCIES)
        body |= chance.choice(({"id": proof}, {"orid": f"order-{proof}"}, {}))
        with Path(self.folder / f"{self.name}.{AMOUNTS}").open("a", encoding="utf-8") as file:
            file.write(f"{proof} {body['currency']} {cents}\n")
        return Record(body, {f"payments:{proof}": paid_hash(body["currency"], cents)})


@dataclass
class LinkClient(Client):
    """Makes short links, each once."""

    is_sent_again: ClassVar[bool] = False
    authorization: str = field(default="", kw_only=True)

    async def request(self, session: aiohttp.ClientSession, sent: Sequence[Sent]) -> bool:
        """One link; at once afterwards it must lead where it should."""
        (link,) = sent
        headers = {"Authorization": self.authorization}
        async with session.post("/tr/v1/rpi/redirect", data=json.dumps(link.body), headers=headers) as answer:
            if answer.status != 200:
                return False
        await self._follow(session, link.body)
        return True

    async def _follow(self, session: aiohttp.ClientSession, body: Mapping[str, Any]) -> None:
        host, _, path = str(body["urlfrom"]).removeprefix("https://").partition("/")
        call = session.get(f"/{path}", headers={"Host": host}, allow_redirects=False)
        async with call as answer:
            assert answer.headers.get("Location") == body["urlto"], f"{answer.status} for a link just made"

    def made(self) -> Sent:
        """One link to a place of its own."""
        name = f"{self.chance.getrandbits(64):x}"
        body = {"urlfrom": f"https://s.example/{name}", "urlto": f"https://long.example/{name}?a=1"}
        digest = content_hash(body["urlto"], {})
        return Record(
            body, {f"redirects:s.example/{name}": digest, f"redirect_history:{body['urlto']}": digest}
        )


class ConsentClient(Client):
    """Agrees, each visitor once."""

    is_sent_again: ClassVar[bool] = False

    async def request(self, session: aiohttp.ClientSession, sent: Sequence[Sent]) -> bool:
        """One consent."""
        (consent,) = sent
        async with session.post("/tr/v1/ppi/agree", data=json.dumps(consent.body)) as answer:
            return answer.status == 200

    def made(self) -> Sent:
        """The consent of a visitor of its own."""
        visitor = str(uuid.UUID(int=self.chance.getrandbits(128), version=4))
        flags = self.chance.randrange(1, 2**40)
        digest = content_hash(str(flags), {})
        rows = {f"agreements:{visitor}": digest, f"agreed:{visitor}": digest}
        return Record({"vid": visitor, "cflags": flags}, rows)


RECORDS: Mapping[str, type[Client]] = MappingProxyType(
    {"payments": PaymentClient, "links": LinkClient, "consents": ConsentClient}
)
"""What is sent -> who sends it."""

QUESTIONS: Mapping[str, str] = MappingProxyType(
    {
        "payments": "SELECT params, currency, CAST(revenue AS VARCHAR) AS revenue FROM payments",
        "redirects": "SELECT urlfrom AS k, urlto AS v FROM redirects",
        "redirect_history": "SELECT urlto AS k, urlto AS v FROM redirect_history",
        "agreements": "SELECT CAST(vid AS VARCHAR) AS k, CAST(cflags AS VARCHAR) AS v FROM agreements",
        "agreed": "SELECT CAST(vid AS VARCHAR) AS k, CAST(cflags AS VARCHAR) AS v FROM agreed",
    }
)
"""Table -> how the judge reads it; each row says what it is known by and what its hash is made of."""
LTV = "SELECT currency, CAST(sum(paid) AS VARCHAR) AS paid FROM ltv WHERE id_type = 'uid' GROUP BY currency"


def found(table: str, row: Mapping[str, Any]) -> tuple[str, str]:
    """Key and hash of a stored row."""
    if table == "payments":
        return f"payments:{row['params']['proof']}", paid_hash(row["currency"], Decimal(row["revenue"]))
    return f"{table}:{row['k']}", content_hash(str(row["v"]), {})


def paid_hash(currency: str, amount: Decimal) -> str:
    """What a payment says."""
    return content_hash(currency, {"cents": str(int(amount * 100))})


def noted(folder: Path, stored: set[str]) -> dict[str, Decimal]:
    """What the payments that are stored (by their keys) come to, by currency, from the clients' own notes."""
    sums: dict[str, Decimal] = {}
    for proof, currency, amount in _amounts(folder):
        if f"payments:{proof}" in stored:
            sums[currency] = sums.get(currency, Decimal(0)) + Decimal(amount)
    return sums


def _amounts(folder: Path) -> Iterator[list[str]]:
    for path in folder.glob(f"*.{AMOUNTS}"):
        yield from (line.split() for line in path.read_text(encoding="utf-8").splitlines())
