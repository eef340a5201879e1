import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.steps.build import documents
from tracker.errors import BadHit
from tracker.steps.json_input import loads, loads_exactly


@given(st.binary(max_size=200) | st.text('{}[],:"\\0123456789.eE+-truefalsnNaIity\ud800 ', max_size=60))
def test_whatever_is_read_gives_values_or_a_bad_hit(data: bytes | str) -> None:
    try:
        loads(data, 8)
    except BadHit as error:
        assert error.reason


@given(documents)
def test_what_any_writer_of_json_wrote_comes_back(value: Any) -> None:
    assert loads(json.dumps(value), 64) == value


@given(st.integers(min_value=2**64) | st.integers(max_value=-(2**63) - 1))
def test_integers_beyond_64_bits_come_back_exactly_as_text(number: Any) -> None:
    assert loads(f'{{"a": [{number}], "b": 1.5, "c": 12}}', 64) == {"a": [str(number)], "b": 1.5, "c": 12}


def test_integers_at_the_edge_of_64_bits_stay_integers() -> None:
    assert loads(b"[18446744073709551615, -9223372036854775808, 9223372036854775808]", 64) == [
        2**64 - 1,
        -(2**63),
        2**63,
    ]


def test_an_integer_of_thousands_of_digits_is_exact_too() -> None:
    assert loads(b"[" + b"7" * 9000 + b"]", 64) == ["7" * 9000]
    assert loads(b"1" * 5000, 64) == "1" * 5000


def test_large_floats_stay_floats() -> None:
    assert loads(b"[1e300, 1e19]", 64) == [1e300, 1e19]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b"[Infinity]",
        b"[1e400]",
        b'["\xff"]',
        b'["\\ud800"]',
        b'{"a": 1} x',
        b"[" + b"7" * 400 + b', "\\ud800"]',
        b"[" + b"7" * 400 + b", NaN]",
        b"[" + b"7" * 400 + b", 1e999]",
        b"[" + b"7" * 400 + b', "\xff"]',
        "\ud800",
    ],
)
def test_what_is_no_strict_json_is_refused_as_malformed(data: bytes | str) -> None:
    with pytest.raises(BadHit) as refused:
        loads(data, 64)
    assert refused.value.code == "malformed"


@pytest.mark.parametrize("depth", [65, 250, 2000, 200_000])
@pytest.mark.parametrize("inside", [b"", b"7" * 400])
def test_what_is_nested_too_deep_is_refused(depth: int, inside: bytes) -> None:
    with pytest.raises(BadHit) as refused:
        loads(b"[" * depth + inside + b"]" * depth, 64)
    assert refused.value.code == "too_deep"


def test_the_configured_depth_itself_is_allowed() -> None:
    assert loads(b"[" * 64 + b"]" * 64, 64)
    assert loads(b'{"a": {"b": 1}}', 2) == {"a": {"b": 1}}


@given(st.binary(max_size=200) | st.text('{}[],:"\\0123456789.eE+-truefalsnNaIity\ud800 ', max_size=60))
def test_what_is_read_exactly_is_what_is_read_or_a_bad_hit(data: bytes | str) -> None:
    try:
        loads_exactly(data, 8)
    except BadHit as error:
        assert error.reason
        return
    text = data if isinstance(data, str) else data.decode()
    if "e" not in text.lower():  # 1e400 is beyond a double
        loads(data, 8)


@given(documents)
def test_a_document_that_is_read_exactly_differs_in_its_numbers_only(value: Any) -> None:
    text = json.dumps(value)
    assert json.loads(
        json.dumps(loads_exactly(text, 64), default=lambda number: float(number))
    ) == json.loads(text, parse_int=float)


def test_every_number_is_the_decimal_that_was_written() -> None:
    sent = '{"a": [0.10, 1e400, 12, -0.1234567890123456789012345678901234567890], "b": 1' + "0" * 100 + "}"
    value = loads_exactly(sent, 64)
    assert [str(number) for number in value["a"]] == [
        *("0.10", "1E+400", "12", "-0.1234567890123456789012345678901234567890")
    ]
    assert value["b"] == "1" + "0" * 100  # more digits than are worked with stay text
    assert loads_exactly('{"a": 1, "a": 2}', 64) == loads('{"a": 1, "a": 2}', 64)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b"[-Infinity]",
        b'["\xff"]',
        b'["\\ud800"]',
        b'{"\\ud800": 1}',
        b'["\x01"]',
        b"[1] x",
    ],
)
def test_what_is_no_strict_json_is_refused_where_numbers_are_exact_too(data: bytes) -> None:
    with pytest.raises(BadHit) as refused:
        loads_exactly(data, 64)
    assert refused.value.code == "malformed"


@pytest.mark.parametrize("depth", [65, 250, 200_000])
def test_what_is_nested_too_deep_is_refused_where_numbers_are_exact_too(depth: int) -> None:
    with pytest.raises(BadHit) as refused:
        loads_exactly(b"[" * depth + b"]" * depth, 64)
    assert refused.value.code == "too_deep"
    assert loads_exactly(b"[" * 64 + b"]" * 64, 64)
