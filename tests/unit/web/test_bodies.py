import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.errors import BadHit, TooLarge
from tracker.web.bodies import Many, told_apart
from tracker.web.settings import WebLimits

LIMITS = WebLimits(max_events=50, max_depth=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text(max_size=3), JSON, max_size=3)


def outcomes(body: object) -> list[object]:
    assert isinstance(body, Many)
    return [BadHit if isinstance(one, BadHit) else one for one in body.each(LIMITS.max_depth)]


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_values_or_a_bad_hit(data: bytes) -> None:
    try:
        body = told_apart(data, LIMITS)
    except BadHit as error:
        assert error.reason
        return
    if isinstance(body, Many):
        assert len(outcomes(body)) == len(body)


@given(OBJECTS)
def test_an_object_is_itself_however_it_is_laid_out(value: dict[str, object]) -> None:
    if set(value) == {"events"}:
        return
    for option in (0, orjson.OPT_INDENT_2):
        assert told_apart(orjson.dumps(value, option=option), LIMITS) == value


@given(st.lists(OBJECTS, max_size=5))
def test_array_lines_and_events_are_the_same_events(values: list[dict[str, object]]) -> None:
    array = outcomes(told_apart(orjson.dumps(values), LIMITS))
    events = outcomes(told_apart(orjson.dumps({"events": values}), LIMITS))
    assert array == events == values
    if len(values) > 1:
        lines = b"\n\n".join(orjson.dumps(value) for value in values)
        assert outcomes(told_apart(lines, LIMITS)) == values


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a":1}\nnonsense\n[1]\n{"b":2}', [{"a": 1}, BadHit, BadHit, {"b": 2}]),
        (b'nonsense\n{"b":2}', [BadHit, {"b": 2}]),
        (b'{"a":1}\r\n \r\n{"b":2}\r\n', [{"a": 1}, {"b": 2}]),
        (b"[1, null, {}]", [BadHit, BadHit, {}]),
    ],
)
def test_each_event_stands_for_itself(data: bytes, expected: list[object]) -> None:
    assert outcomes(told_apart(data, LIMITS)) == expected


@pytest.mark.parametrize("data", [b"", b"  ", b"\n\n"])
def test_nothing_is_the_empty_object(data: bytes) -> None:
    assert told_apart(data, LIMITS) == {}


@pytest.mark.parametrize("data", [b"5", b'"x"', b"null", b"{", b"nonsense\n", b"\xff"])
def test_one_document_that_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(BadHit):
        told_apart(data, LIMITS)


@pytest.mark.parametrize("data", [b"[" + b"{}," * 50 + b"{}]", b"{}\n" * 51])
def test_more_events_than_allowed_are_too_large(data: bytes) -> None:
    with pytest.raises(TooLarge):
        told_apart(data, LIMITS)
