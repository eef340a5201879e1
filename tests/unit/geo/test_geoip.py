"""Places as the pipeline gets them: at once, never an error, from files that come, change and break."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tests.support.places import SEOUL, ZURICH, bin_file, real_mmdb
from tracker.geo import GeoIP
from tracker.metrics import Metrics

HERE, OTHER = "195.186.1.1", "1.208.0.1"


@asynccontextmanager
async def places(*paths: Path, metrics: Metrics | None = None) -> AsyncIterator[GeoIP]:
    """Started, and looking at its files all the time."""
    geoip = GeoIP(paths, metrics, look_seconds=0.005)
    await geoip.start()
    try:
        yield geoip
    finally:
        await geoip.stop()


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_true():  # noqa: ASYNC110 (a file gives no signal to wait for)
            await asyncio.sleep(0.005)


def put(path: Path, content: bytes) -> None:
    """Replace the file as programs that update databases do."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


def city(geoip: GeoIP, ip: str = HERE) -> str:
    place = geoip.place(ip)
    return place.city if place else ""


async def test_a_new_file_is_used_and_what_was_remembered_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    put(file, bin_file())
    async with places(file) as geoip:
        assert city(geoip) == "Zurich"
        put(file, bin_file({"195.186.0.0/16": SEOUL}))
        await until(lambda: city(geoip) == "Seoul")
        file.write_bytes(bin_file({"195.186.0.0/16": ZURICH._replace(city="Elsewhere")}))
        await until(lambda: city(geoip) == "Elsewhere")


async def test_a_broken_new_file_leaves_the_old_one_in_use_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, metrics = tmp_path / "a.bin", Metrics(CollectorRegistry(), "test")
    put(file, bin_file())
    async with places(file, metrics=metrics) as geoip:
        with caplog.at_level(logging.WARNING, "tracker.geo"):
            put(file, b"no database")
            await until(
                lambda: (
                    metrics.registry.get_sample_value("tracker_geo_loads_total", {"outcome": "failed"}) == 1
                )
            )
            await asyncio.sleep(0.05)
            assert city(geoip) == "Zurich"
            file.unlink()
            await until(lambda: len(caplog.records) == 2)
            assert city(geoip) == "Zurich"
    assert [record.getMessage() for record in caplog.records] == [
        "address database: the one before stays in use"
    ] * 2


async def test_a_missing_file_is_said_once_and_read_when_it_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.bin"
    async with places(file) as geoip:
        await asyncio.sleep(0.05)
        assert len(caplog.records) == 1
        assert not geoip.is_ready
        assert geoip.place(HERE) is None
        put(file, bin_file())
        await until(lambda: geoip.is_ready)
        assert city(geoip) == "Zurich"


async def test_the_first_database_that_knows_an_address_answers(tmp_path: Path) -> None:
    one, two = tmp_path / "four.bin", tmp_path / "six.bin"
    put(one, bin_file({"195.186.0.0/16": ZURICH}))
    put(two, bin_file({"195.186.0.0/16": SEOUL, "2001:1600::/32": SEOUL}))
    async with places(one, two, real_mmdb()) as geoip:
        assert city(geoip) == "Zurich"
        assert city(geoip, "2001:1600::1") == "Seoul"
        place = geoip.place("8.8.8.8")
        assert place is not None
        assert place.country == "US"


@pytest.mark.parametrize(
    "ip",
    [
        *("", "127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.1.1", "100.64.0.1", "0.0.0.0"),  # noqa: S104
        *("::1", "fe80::1", "fc00::1", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:10.0.0.1", "x"),
    ],
)
async def test_what_is_no_public_address_has_no_place(tmp_path: Path, ip: str) -> None:
    file = tmp_path / "a.bin"
    put(file, bin_file({"0.0.0.0/1": ZURICH, "128.0.0.0/2": ZURICH, "::/1": ZURICH, "fc00::/8": ZURICH}))
    async with places(file) as geoip:
        assert geoip.place("8.8.8.8") is not None
        assert geoip.place(ip) is None


async def test_an_address_mapped_to_ipv6_is_the_one_it_maps(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    put(file, bin_file())
    async with places(file) as geoip:
        assert city(geoip, f"::ffff:{HERE}") == "Zurich"


@settings(max_examples=50)
@given(st.text(max_size=40) | st.ip_addresses().map(str))
def test_no_text_is_an_error(ip: str) -> None:
    GeoIP(()).place(ip)


async def test_after_its_end_nothing_is_known_and_it_may_end_twice(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    put(file, bin_file())
    async with places(file) as geoip:
        assert city(geoip, OTHER) == "Seoul"
    assert geoip.place(OTHER) is None
    await geoip.stop()
    await GeoIP(()).stop()


async def test_a_remembered_place_takes_no_lookup(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    put(file, bin_file())
    async with places(file) as geoip:
        geoip.place(HERE)
        started = time.process_time()
        for _ in range(1000):
            geoip.place(HERE)
        assert time.process_time() - started < 0.02
