"""Hashes of passwords: ours, the original's, and what may be a password at all."""

import time
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.records import passwords
from tracker.records.passwords import NO_PASSWORDS_HASH, hashed, is_hash, is_legacy, legacy_hash, matches


def test_a_hash_is_argon2id_as_owasp_recommends_and_another_one_each_time() -> None:
    first, second = hashed("correct horse"), hashed("correct horse")
    assert first != second
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert is_hash(first)
    assert not is_legacy(first)


def test_a_password_matches_its_own_hash_alone() -> None:
    stored = hashed("correct horse é")
    assert matches(stored, "correct horse é")
    assert not any(matches(stored, other) for other in ("correct horse e", "", "correct horse é ", stored))


def test_the_originals_hash_is_read() -> None:
    assert legacy_hash("password") == "W6ph5Mm5Pz8GgiULbPgzG37mj9g="
    assert is_legacy("W6ph5Mm5Pz8GgiULbPgzG37mj9g=")
    assert matches("W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "password")
    assert not matches("W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "Password")


@pytest.mark.parametrize(
    "stored", ["", NO_PASSWORDS_HASH, "$argon2id$", "$argon2id$v=19$m=1,t=1,p=1$x$y", "é"]
)
def test_nothing_matches_what_is_no_hash(stored: str) -> None:
    assert not any(matches(stored, password) for password in ("", "password", stored))


@settings(max_examples=15, deadline=None)
@given(stored=st.text(max_size=60), password=st.text(st.characters(), max_size=60))
def test_whatever_is_stored_and_given_there_is_an_answer(stored: str, password: str) -> None:
    assert not matches(stored, password) or legacy_hash(password) == stored
    assert isinstance(passwords.objection(password), str)


def test_it_takes_as_long_for_no_account_and_for_the_originals_hash_as_for_ours() -> None:
    kinds = {"ours": hashed("right password"), "none": "", "original": legacy_hash("right password")}
    took: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(5):
        for name, stored in kinds.items():
            started = time.thread_time()
            matches(stored, "wrong password")
            took[name].append(time.thread_time() - started)
    shortest, longest = (choose(map(median, took.values())) for choose in (min, max))
    assert longest < 1.5 * shortest


@pytest.mark.parametrize("password", ["", "1234567", "x" * 1025, "é" * 513, "tab\there!", "nul\x00nul!!"])
def test_what_is_too_short_too_long_or_not_typed_by_people_is_no_password(password: str) -> None:
    assert passwords.objection(password)


def test_a_sentence_is_a_password() -> None:
    assert passwords.objection("correct horse battery staple") == ""
    assert passwords.objection("pässwörd/%2F") == ""
