"""Lengths of time and sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.config.durations import MAX_SECONDS, seconds, size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10s", 10),
        ("1.5s", 1.5),
        ("500ms", 0.5),
        ("5m", 300),
        ("24h", 86400),
        ("7d", 604800),
        ("1h30m", 5400),
        (" 2 s ", 2),
        ("0s", 0),
        ("250us", 0.00025),
    ],
)
def test_a_time_is_written_with_its_unit(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("value", ["", "10", "s", "10 parsecs", "-1s", "1e3s", "1,5s", "٣s", "9" * 400 + "d"])
def test_other_text_is_no_time(value: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        seconds(value)


@pytest.mark.parametrize("value", [-1, -0.001, float("nan"), float("inf"), MAX_SECONDS * 2, 10**400])
def test_a_number_that_is_no_length_of_time_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="100 years"):
        seconds(value)


def test_a_number_has_the_unit_that_the_key_gives_it() -> None:
    assert seconds(300, 1e-3) == 0.3
    assert seconds(300) == 300


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    try:
        assert 0 <= seconds(text) <= MAX_SECONDS
    except ValueError:
        assert text != "10s"


@pytest.mark.parametrize(
    ("value", "expected"), [(5, 5), ("8MiB", 2**23), ("64KB", 64_000), ("1 GiB", 2**30), ("7B", 7)]
)
def test_a_size_is_bytes_or_text_with_its_unit(value: int | str, expected: int) -> None:
    assert size(value) == expected


@pytest.mark.parametrize("value", ["", "8", "8 mib", "-1KB", "1.5MB", -1, 2**63, "99999999999999999999TiB"])
def test_other_values_are_no_size(value: int | str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        size(value)
