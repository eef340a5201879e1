import resource

import pytest
from aiohttp.web_protocol import RequestHandler

from tracker.web.answers import closing_answer
from tracker.web.doors import address_of, descriptors_for


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (("1.2.3.4", 1), ("1.2.3.4", 2), True),
        (("1.2.3.4", 1), ("1.2.3.5", 1), False),
        (("2001:db8::1", 1, 0, 0), ("2001:db8::ffff:1", 1, 0, 0), True),
        (("2001:db8::1", 1, 0, 0), ("2001:db8:0:1::1", 1, 0, 0), False),
        (("::ffff:1.2.3.4", 1, 0, 0), ("1.2.3.4", 1), True),
        (("fe80::1%eth0", 1, 0, 2), ("fe80::2%eth0", 1, 0, 2), True),
    ],
)
def test_addresses_count_together_as_far_as_one_client_has_them(
    one: object, other: object, is_same: bool
) -> None:
    assert (address_of(one) == address_of(other)) is is_same
    assert address_of(one)


@pytest.mark.parametrize("peer", [None, "", "/run/some.sock", ("no address", 1)])
def test_an_unknown_peer_has_no_address(peer: object) -> None:
    assert address_of(peer) == b""


def test_connections_leave_files_for_everything_else() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert descriptors_for(10) == 10
    if hard != resource.RLIM_INFINITY:
        assert 0 < descriptors_for(10 * hard) < hard


def test_an_answer_without_a_request_is_whole_and_the_last() -> None:
    head, _, body = closing_answer(503, "full\n", b"Retry-After: 1\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert {b"Connection: close", b"Content-Length: 5", b"Retry-After: 1"} <= set(head.split(b"\r\n"))
    assert body == b"full\n"


def test_aiohttp_still_keeps_what_connections_look_at() -> None:
    kept = {"_waiter", "_messages", "_request_count", "_request_in_progress", "_current_request"}
    kept |= {"_payload_parser", "_msg_queue_resume_size", "_buffer_paused", "_close"}
    slots = {name for base in RequestHandler.__mro__ for name in getattr(base, "__slots__", ())}
    assert kept <= slots
    assert callable(RequestHandler._pause_reading_for_buffer)
