import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.steps.hosts import bare_host
from tracker.web.addresses import asked_by_https, asked_host, client_address

TRUSTED = (
    ipaddress.ip_network("127.0.0.0/8"),
    ipaddress.ip_network("10.0.0.0/8"),
    ipaddress.ip_network("::1/128"),
)


@pytest.mark.parametrize(
    ("sent", "host"),
    [
        ("Example.COM", "example.com"),
        ("example.com:8443", "example.com"),
        (" example.com. ", "example.com"),
        ("[2001:DB8::1]:80", "2001:db8::1"),
        ("[::1]", "::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("localhost:", "localhost"),
        ("", ""),
        (":80", ""),
    ],
)
def test_a_host_is_lower_case_without_port(sent: str, host: str) -> None:
    assert bare_host(sent) == host


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({}, "127.0.0.1"),
        ({"x-real-ip": "8.8.8.8"}, "8.8.8.8"),
        ({"x-real-ip": "8.8.8.8", "x-forwarded-for": "9.9.9.9"}, "8.8.8.8"),
        ({"x-real-ip": "garbage", "x-forwarded-for": "9.9.9.9"}, "9.9.9.9"),
        ({"x-real-ip": "10.0.0.7", "x-forwarded-for": "9.9.9.9, 10.0.0.7"}, "9.9.9.9"),
        ({"x-forwarded-for": "1.1.1.1, 8.8.8.8, 10.0.0.1"}, "8.8.8.8"),
        ({"x-forwarded-for": "1.1.1.1, garbage", "x-client-ip": "9.9.9.9"}, "9.9.9.9"),
        ({"x-forwarded-for": "10.0.0.9, 10.0.0.1"}, "10.0.0.9"),
        ({"cf-connecting-ip": "2001:DB8:0::1"}, "2001:db8::1"),
        ({"x-forwarded": "for=1.1.1.1, for=8.8.8.8"}, "8.8.8.8"),
        ({"forwarded": 'for="[2001:db8::1]:4711";proto=https, for=10.1.1.1'}, "2001:db8::1"),
        ({"forwarded": "for=unknown"}, "127.0.0.1"),
        ({"x-forwarded-for": "8.8.8.8:1234"}, "8.8.8.8"),
        ({"x-forwarded-for": "::ffff:8.8.8.8"}, "8.8.8.8"),
        ({"x-forwarded-for": ", ,"}, "127.0.0.1"),
    ],
)
def test_the_nearest_untrusted_hop_is_the_client(headers: dict[str, str], address: str) -> None:
    assert client_address(headers, "127.0.0.1", TRUSTED) == address
    assert client_address(headers, "::ffff:127.0.0.1", TRUSTED) == address


def test_a_stranger_cannot_say_who_he_is() -> None:
    headers = {"x-real-ip": "8.8.8.8", "x-forwarded-host": "bank.example", "host": "Ours.example:1"}
    assert client_address(headers, "9.9.9.9", TRUSTED) == "9.9.9.9"
    assert asked_host(headers, is_trusted=False) == "ours.example"
    assert client_address(headers, "", TRUSTED) == ""


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ({"x-original-host": "A.example:1", "x-forwarded-host": "b.example"}, "a.example"),
        ({"x-forwarded-host": "B.example, inner", "host": "inner"}, "b.example"),
        ({"x-host": "c.example"}, "c.example"),
        ({"forwarded": 'for=1.1.1.1;host="D.example:443"'}, "d.example"),
        ({"host": "E.example:80"}, "e.example"),
        ({}, ""),
    ],
)
def test_a_trusted_proxy_says_which_host_was_asked(headers: dict[str, str], host: str) -> None:
    assert asked_host(headers, is_trusted=True) == host


@pytest.mark.parametrize(
    ("headers", "is_trusted", "is_tls", "is_https"),
    [
        ({}, True, False, False),
        ({}, True, True, True),
        ({"x-forwarded-proto": "HTTPS"}, True, False, True),
        ({"x-forwarded-proto": "http"}, True, True, False),
        ({"forwarded": "for=1.1.1.1;proto=https"}, True, False, True),
        ({"x-forwarded-proto": "https"}, False, False, False),
    ],
)
def test_a_trusted_proxy_says_whether_it_was_https(
    headers: dict[str, str], is_trusted: bool, is_tls: bool, is_https: bool
) -> None:
    assert asked_by_https(headers, is_trusted, is_tls) is is_https


NAMES = ("x-real-ip", "x-forwarded-for", "x-client-ip", "x-forwarded", "forwarded", "host")


@given(st.dictionaries(st.sampled_from(NAMES), st.text()))
def test_no_header_makes_anything_but_an_address(headers: dict[str, str]) -> None:
    assert ipaddress.ip_address(client_address(headers, "127.0.0.1", TRUSTED))
    assert asked_host(headers, is_trusted=True) == asked_host(headers, is_trusted=True).lower()
