"""Which credentials open an account, how long that takes, and how often a password is hashed for it."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.records.shelf import Shelf, Waits
from tracker.clock import timestamp_text
from tracker.errors import CannotStore, Denied, LockedOut, RecordsUnavailable, TrackerError
from tracker.records import passwords
from tracker.records.account_book import AccountBook, NewAccount
from tracker.records.accounts import DENIED_SECONDS, MOST_WAITING, Account, Accounts
from tracker.records.attempts import PAIR
from tracker.records.lookup import Lookup
from tracker.tables import EPOCH

PASSWORD, HERE = "correct horse", "203.0.113.1"
HASH = passwords.hashed(PASSWORD)
UID = "018f6f2e-0000-7000-8000-000000000001"
NOW = 1_795_000_000.0


@dataclass
class Desk:
    """Accounts over a store in memory; what is saved is in the store at once."""

    shelf: Shelf = field(default_factory=Shelf)
    now: float = NOW
    saved: list[dict[str, Any]] = field(default_factory=list)
    trouble: Exception | None = None
    hashes: int = 0

    def __post_init__(self) -> None:
        self.lookup = Lookup("accounts", "uid", self.shelf, Waits())
        self.book = AccountBook(self.lookup, self.save, lambda: self.now)
        self.accounts = Accounts(self.lookup, self.book.renew, lambda: self.now, denied_seconds=0.0)

    async def save(self, row: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        if self.trouble is not None:
            raise self.trouble
        self.saved.append(row)
        self.shelf.put("accounts", row)
        self.lookup.wrote(row)

    def put(self, pwd: str = HASH, uid: str = UID, expires: str = EPOCH, **creds: Any) -> None:
        row = {
            "uid": uid,
            "pwd": pwd,
            "expires": expires,
            "creds": creds,
            "updated_at": timestamp_text(self.now),
        }
        self.shelf.put("accounts", row)

    async def check(self, uid: str = UID, password: str = PASSWORD, address: str = HERE) -> Account:
        return await self.accounts.check(uid, password, address)


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    desk = Desk()
    real = passwords.matches

    def counted(stored: str, password: str) -> bool:
        desk.hashes += 1
        return real(stored, password)

    monkeypatch.setattr(passwords, "matches", counted)
    yield desk
    await desk.lookup.close()
    desk.accounts.close()


async def test_the_right_password_opens_the_account_and_what_it_may_do_is_told(desk: Desk) -> None:
    desk.put(hosts=["a.example", "xn--bcher-kva.de"])
    expected = Account(UID, frozenset({"a.example", "xn--bcher-kva.de"}), is_admin=False)
    assert await desk.check() == await desk.check(UID.upper()) == expected
    desk.put(uid=UID[:-1] + "2", admin=True)
    assert (await desk.check(UID[:-1] + "2")).is_admin


@pytest.mark.parametrize(
    "change",
    [
        {"password": "wrong horse"},
        {"password": ""},
        {"uid": UID[:-1] + "9"},
        {"uid": "nobody"},
        {"uid": ""},
        {"uid": "x" * 100_000},
        {"uid": "00000000-0000-0000-0000-000000000000"},
    ],
    ids=["wrong", "empty", "unknown", "no uuid", "no uid", "huge", "zero"],
)
async def test_anything_else_is_denied_with_the_same_words(desk: Desk, change: dict[str, str]) -> None:
    desk.put()
    with pytest.raises(Denied) as caught:
        await desk.check(**change)
    assert str(caught.value) == "Bad pass"


@pytest.mark.parametrize("creds", [{"disabled": True}, {"disabled": "yes"}])
async def test_a_disabled_account_is_denied_as_if_the_password_were_wrong(
    desk: Desk, creds: dict[str, Any]
) -> None:
    desk.put(**creds)
    with pytest.raises(Denied, match="Bad pass"):
        await desk.check()
    assert desk.hashes == 1


async def test_an_account_ends_when_it_expires_also_for_who_was_let_in_before(desk: Desk) -> None:
    desk.put(expires=timestamp_text(NOW + 10))
    await desk.check()
    desk.now += 11
    with pytest.raises(Denied, match="Bad pass"):
        await desk.check()


async def test_many_requests_hash_once_and_a_minute_later_once_more(desk: Desk) -> None:
    desk.put()
    await asyncio.gather(*(desk.check() for _ in range(100)))
    for _ in range(100):
        await desk.check()
    assert desk.hashes == 1
    desk.now += 61
    await desk.check()
    assert desk.hashes == 2


async def test_a_new_password_and_a_disabled_account_count_at_once(desk: Desk) -> None:
    desk.put()
    await desk.check()
    desk.now += 1
    await desk.book.passwd(UID, passwords.hashed("another horse"))
    with pytest.raises(Denied):
        await desk.check()
    await desk.check(password="another horse")
    await desk.book.disable(UID)
    with pytest.raises(Denied):
        await desk.check(password="another horse")


async def test_the_originals_hash_opens_once_and_is_replaced(desk: Desk) -> None:
    desk.put(passwords.legacy_hash(PASSWORD), hosts=["a.example"])
    assert (await desk.check()).hosts == {"a.example"}
    (row,) = desk.saved
    assert row["pwd"].startswith("$argon2id$")
    assert row["creds"] == {"hosts": ["a.example"]}
    assert (await desk.check()).hosts == {"a.example"}
    assert len(desk.saved) == 1


async def test_the_originals_hash_stays_when_the_new_one_cannot_be_stored(desk: Desk) -> None:
    desk.put(passwords.legacy_hash(PASSWORD))
    desk.trouble = CannotStore("spool full")
    await desk.check()
    desk.trouble = None
    await desk.check()
    assert len(desk.saved) == 1


async def test_a_wrong_password_replaces_no_hash(desk: Desk) -> None:
    desk.put(passwords.legacy_hash(PASSWORD))
    with pytest.raises(Denied):
        await desk.check(password="wrong horse")
    assert desk.saved == []


async def test_replacing_a_hash_does_not_undo_what_was_changed_meanwhile(desk: Desk) -> None:
    desk.put(passwords.legacy_hash(PASSWORD))
    row = await desk.lookup.get(UID)
    assert row is not None
    await desk.book.disable(UID)
    await desk.book.renew(row, HASH)
    with pytest.raises(Denied):
        await desk.check()


@pytest.mark.parametrize("stored", ["W6ph5Mm5Pz8GgiULbPgzG37mj9g=", None], ids=["as seeded", "hashed anew"])
async def test_the_account_that_the_original_publishes_opens_nothing(desk: Desk, stored: str | None) -> None:
    desk.put(stored or passwords.hashed("password"), uid=passwords.SEEDED_UID, admin=True)
    for _ in range(2):
        with pytest.raises(Denied):
            await desk.check(passwords.SEEDED_UID, "password")
    assert desk.saved == []
    desk.put(passwords.hashed("a password of its own"), uid=passwords.SEEDED_UID)
    desk.lookup.forget(passwords.SEEDED_UID)
    assert (
        await desk.check(passwords.SEEDED_UID, "a password of its own", "::1")
    ).uid == passwords.SEEDED_UID


async def test_after_some_wrong_passwords_none_is_looked_at(desk: Desk) -> None:
    desk.put()
    for number in range(PAIR.free):
        with pytest.raises(Denied):
            await desk.check(password=f"wrong {number}")
    with pytest.raises(LockedOut) as caught:
        await desk.check()
    assert caught.value.retry_after_seconds >= 1
    assert desk.hashes == PAIR.free
    assert (await desk.check(address="198.51.100.7")).uid == UID
    desk.now += 2
    assert (await desk.check()).uid == UID


async def test_an_unknown_account_locks_as_a_known_one_does(desk: Desk) -> None:
    for number in range(PAIR.free):
        with pytest.raises(Denied):
            await desk.check(password=f"wrong {number}")
    with pytest.raises(LockedOut):
        await desk.check()


async def test_many_guesses_at_once_are_counted_before_they_are_looked_at(desk: Desk) -> None:
    desk.put()
    guesses = [desk.check(password=f"wrong {number}") for number in range(30)]
    ends = await asyncio.gather(*guesses, return_exceptions=True)
    assert desk.hashes <= PAIR.free + 1
    assert {type(end) for end in ends} == {Denied, LockedOut}


async def test_a_flood_of_guesses_keeps_no_owner_out(desk: Desk) -> None:
    desk.put()
    await desk.check()
    desk.now += 3600
    guesses = [
        asyncio.create_task(desk.check(password=f"wrong {number}", address=f"192.0.2.{number}"))
        for number in range(60)
    ]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(LockedOut):
        await desk.check(address="198.51.100.7")
    assert (await desk.check()).uid == UID
    ends = await asyncio.gather(*guesses, return_exceptions=True)
    assert [type(end) for end in ends].count(LockedOut) == 60 - MOST_WAITING


async def test_who_was_let_in_goes_on_while_others_guess_from_the_same_address(desk: Desk) -> None:
    desk.put()
    await desk.check()
    for number in range(PAIR.free):
        with pytest.raises(Denied):
            await desk.check(password=f"wrong {number}")
    assert (await desk.check()).uid == UID


async def test_while_the_store_is_away_nobody_is_told_that_an_account_is_missing(desk: Desk) -> None:
    desk.shelf.is_away = True
    with pytest.raises(RecordsUnavailable):
        await desk.check()


async def test_a_refusal_takes_as_long_for_no_account_as_for_a_wrong_password(desk: Desk) -> None:
    desk.put()
    desk.put(uid=UID[:-1] + "2", disabled=True)
    desk.put(passwords.legacy_hash(PASSWORD), uid=UID[:-1] + "3")
    accounts = Accounts(desk.lookup, desk.book.renew, lambda: desk.now)
    took: dict[str, list[float]] = {digit: [] for digit in "1239"}
    for turn in range(2):
        for digit, times in took.items():
            started = time.perf_counter()
            with pytest.raises(Denied):
                await accounts.check(UID[:-1] + digit, f"wrong {turn}", f"192.0.2.{turn}{digit}")
            times.append(time.perf_counter() - started)
    medians = [median(times) for times in took.values()]
    assert min(medians) >= DENIED_SECONDS * 0.99
    assert max(medians) < min(medians) + 0.1
    accounts.close()


@settings(max_examples=15, deadline=None)
@given(uid=st.text(st.characters(), max_size=80), password=st.text(st.characters(), max_size=80))
async def test_whatever_is_sent_there_is_an_account_or_a_refusal(uid: str, password: str) -> None:
    desk = Desk()
    with pytest.raises((Denied, LockedOut)):
        await desk.check(uid, password, uid)
    await desk.lookup.close()
    desk.accounts.close()


async def test_accounts_are_made_and_listed_without_their_hashes(desk: Desk) -> None:
    uid = await desk.book.add(NewAccount(HASH, ["a.example"], name="Ada", expires="2027-01-01 00:00:00.000Z"))
    desk.now += 1
    await desk.book.add(NewAccount(HASH, is_admin=True, uid=UID))
    first, second = await desk.book.listed()
    assert (first["uid"], first["name"], first["hosts"]) == (uid, "Ada", ["a.example"])
    assert (first["expires"], first["admin"]) == ("2027-01-01 00:00:00.000Z", False)
    assert (second["uid"], second["admin"], second["expires"]) == (UID, True, "")
    assert "argon" not in repr((first, second))
    assert (await desk.check(uid)).hosts == {"a.example"}


async def test_an_account_is_made_once_and_one_that_is_missing_cannot_be_changed(desk: Desk) -> None:
    await desk.book.add(NewAccount(HASH, uid=UID))
    with pytest.raises(TrackerError, match="already"):
        await desk.book.add(NewAccount(HASH, uid=UID))
    for change in (desk.book.passwd(UID[:-1] + "9", HASH), desk.book.disable("nobody")):
        with pytest.raises(TrackerError, match=r"no account|no UUID"):
            await change


async def test_a_change_counts_although_the_clock_went_back(desk: Desk) -> None:
    uid = await desk.book.add(NewAccount(HASH))
    desk.now -= 3600
    await desk.book.disable(uid)
    assert [account["disabled"] for account in await desk.book.listed()] == [True]


async def test_changes_at_once_keep_each_other(desk: Desk) -> None:
    uid = await desk.book.add(NewAccount(HASH))
    await asyncio.gather(
        desk.book.passwd(uid, passwords.hashed("another horse")),
        desk.book.disable(uid),
        desk.book.passwd(uid, HASH),
    )
    (account,) = await desk.book.listed()
    assert account["disabled"]
