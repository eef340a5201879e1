"""The kinds of value a configuration key may hold: what each accepts, is read as, and is shown as.

A kind stands in a model's annotation: `workers: Annotated[int, whole(1, 64)]`. It knows nothing about keys,
files or where a value came from; the texts of errors are put together in `problems`.
"""

import ipaddress
import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import PydanticCustomError, core_schema

from tracker.config.durations import seconds, size
from tracker.config.nearest import nearest
from tracker.tables import CATALOGUE

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Unfit(ValueError):
    """A value that its key cannot hold; the text adds to what the kind expects, and may be empty."""


class Listen(NamedTuple):
    """Where to listen: `host` is None for all interfaces, `port` 0 for any free one."""

    host: str | None
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if self.host and ":" in self.host else self.host or ""
        return f"{host}:{self.port}"


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Kind:
    """What a key holds. `show` is the way back: reading what was shown gives the same value."""

    words: str
    """What is expected, as it reads in an error."""
    takes: tuple[type, ...]
    """The JSON types that may be right."""
    read: Callable[[Any, Path], Any]
    """Turns such a value into the one that is used; paths start at the folder. Raises ValueError."""
    show: Callable[[Any], Any] = _same

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return core_schema.with_info_plain_validator_function(self._validate)

    def _validate(self, value: Any, info: ValidationInfo) -> Any:
        if type(value) not in self.takes:
            raise _unfit(self.words)
        try:
            return self.read(value, info.context or Path())
        except Unfit as problem:
            raise _unfit(f"{self.words}; {problem}" if str(problem) else self.words) from problem
        except (ValueError, OverflowError) as problem:
            raise _unfit(self.words) from problem


def _unfit(words: str) -> PydanticCustomError:
    return PydanticCustomError("unfit", "{words}", {"words": words})


def key(name: str, default: Any, meaning: str, *, also: tuple[str, ...] = (), secret: bool = False) -> Any:
    """A model's field: its name in the file, its default as written there (`...` when it must be given,
    None when it may be missing), its meaning in a line, its other names, and whether it must never be shown.
    """
    return Field(
        default,
        alias=name,
        description=meaning,
        repr=not secret,
        validate_default=default is not None,
        json_schema_extra={"also": list(also), "secret": secret},
    )


def choice(*names: str) -> Kind:
    """One of a few words, written exactly so."""

    def read(value: str, _: Path) -> str:
        if value not in names:
            raise Unfit(did_you_mean(value, names))
        return value

    return Kind("one of " + ", ".join(names), (str,), read)


def did_you_mean(value: str, names: Iterable[str]) -> str:
    """The end of an error that names the nearest of a few words; empty when none is near."""
    close = nearest(value, names)
    return f"did you mean {close}?" if close else ""


def whole(lowest: int, highest: int | None = None) -> Kind:
    """A whole number between bounds, both included."""

    def read(value: int, _: Path) -> int:
        if value < lowest or (highest is not None and value > highest):
            raise Unfit
        return value

    words = f"from {lowest} to {highest}" if highest is not None else f"of at least {lowest}"
    return Kind(f"a whole number {words}", (int,), read)


def _text(value: str, _: Path) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as problem:
        raise Unfit("half a surrogate pair is no text") from problem
    if "\0" in value:
        raise Unfit("a NUL character cannot be part of it")
    return value


def _texts(value: list[Any], folder: Path) -> tuple[str, ...]:
    if not all(type(item) is str for item in value):
        raise Unfit
    return tuple(_text(item, folder) for item in value)


def _host_names(value: list[Any], folder: Path) -> tuple[str, ...]:
    for host in _texts(value, folder):
        if not re.fullmatch(r"[^\s/@]+", host):
            raise Unfit(f"{host!a} is none")
    return tuple(host.lower() for host in value)


def _wholes(value: list[Any], _: Path) -> tuple[int, ...]:
    if not all(type(item) is int for item in value):
        raise Unfit
    return tuple(value)


def _networks(value: list[Any], folder: Path) -> tuple[Network, ...]:
    return tuple(_network(text) for text in _texts(value, folder))


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as problem:
        raise Unfit(f"{problem!s}") from problem


def _file(value: str, folder: Path) -> Path | None:
    return _needed_file(value, folder) if value else None


def _needed_file(value: str, folder: Path) -> Path:
    if not _text(value, folder):
        raise Unfit
    if "://" in value:
        raise Unfit("an address is none")
    return Path(value) if Path(value).is_absolute() else folder / value


def _files(value: str | list[Any], folder: Path) -> tuple[Path, ...]:
    paths = ([value] if value else []) if isinstance(value, str) else value
    return tuple(_needed_file(path, folder) for path in _texts(paths, folder))


def _regex(value: str, folder: Path) -> re.Pattern[str] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what a later Python may read otherwise
            return re.compile(_text(value, folder)) if value else None
    except (re.error, RecursionError) as problem:
        raise Unfit(f"{problem!s}") from problem


def _listen(value: str, _: Path) -> Listen | None:
    if not value:
        return None
    match = re.fullmatch(r"(\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<name>[\w.-]*)):(?P<port>[0-9]{1,5})", value)
    if match is None or int(match["port"]) > 65535:
        raise Unfit
    if match["six"]:
        ipaddress.IPv6Address(match["six"])
    return Listen(match["six"] or match["name"] or None, int(match["port"]))


def _web_address(value: str, folder: Path) -> str:
    if value and not re.fullmatch(r"https?://[^\s/]\S*", _text(value, folder), re.IGNORECASE):
        raise Unfit
    return value


def _cookie_name(value: str, _: Path) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", value):
        raise Unfit
    return value


def _positive_number(value: float, _: Path) -> float:
    if not math.isfinite(value) or value <= 0 or value > 2**40:
        raise Unfit
    return float(value)


def _positive_seconds(value: float | str, _: Path) -> float:
    if seconds(value) == 0:
        raise Unfit
    return seconds(value)


def _period(value: float | str, folder: Path) -> float | None:
    return None if value == "" else _positive_seconds(value, folder)


def _positive_size(value: int | str, _: Path) -> int:
    if size(value) == 0:
        raise Unfit
    return size(value)


def _scalar(value: Any, _: Path) -> Any:
    if type(value) is float and not math.isfinite(value):
        raise Unfit
    return value


def _ages(value: dict[str, Any], _: Path) -> dict[str, float]:
    for table, age in value.items():
        if table not in CATALOGUE:
            raise Unfit(did_you_mean(table, CATALOGUE) or f"there is no table {table!a}")
        if type(age) not in (int, float, str) or seconds(age) < 1:
            raise Unfit(f"the age of {table} is none")
    return {table: seconds(age) for table, age in value.items()}


def _number(value: float) -> float:
    """Whole numbers without their `.0`, as people write them."""
    return int(value) if value == int(value) else value


def _plain_texts(value: tuple[Any, ...]) -> list[str]:
    return [str(item) for item in value]


_A_TIME = 'seconds as a number, or text such as "500ms", "10s", "5m", "24h", "7d"'
_A_SIZE = 'bytes as a whole number, or text such as "64KB", "8MiB"'
_A_FILE = "the path of a file or folder"

DURATION = Kind(_A_TIME, (int, float, str), lambda value, _: seconds(value), _number)
LONG_DURATION = Kind(f"{_A_TIME}, above 0", (int, float, str), _positive_seconds, _number)
PERIOD = Kind(
    f'{_A_TIME}, above 0, or ""',
    (int, float, str),
    _period,
    lambda value: "" if value is None else _number(value),
)
MILLIS = Kind(
    'milliseconds as a number, or text such as "500ms", "10s"',
    (int, float, str),
    lambda value, _: seconds(value, 1e-3),
    lambda value: f"{_number(value)}s",
)
NUMBER = Kind("a number above 0", (int, float), _positive_number, _number)
SCALAR = Kind("text, a number, true or false", (str, int, float, bool), _scalar)

Text = Annotated[str, Kind("text", (str,), _text)]
Texts = Annotated[tuple[str, ...], Kind("a list of text", (list,), _texts, list)]
HostNames = Annotated[
    tuple[str, ...], Kind("a list of host names without scheme or path", (list,), _host_names, list)
]
Ttl = Annotated[
    Mapping[str, float],
    Kind('ages by table, such as {"logs": "30d"}, each at least a second', (dict,), _ages, dict),
]
Wholes = Annotated[tuple[int, ...], Kind("a list of whole numbers", (list,), _wholes, list)]
Flag = Annotated[bool, Kind("true or false", (bool,), lambda value, _: value)]
Count = Annotated[int, whole(0, 2**63 - 1)]
Int64 = Annotated[int, whole(-(2**63), 2**63 - 1)]
Uint64 = Annotated[int, whole(0, 2**64 - 1)]
Duration = Annotated[float, DURATION]
LongDuration = Annotated[float, LONG_DURATION]
Size = Annotated[int, Kind(f"{_A_SIZE}, above 0", (int, str), _positive_size)]
File = Annotated[Path | None, Kind(_A_FILE, (str,), _file, lambda value: str(value or ""))]
Files = Annotated[
    tuple[Path, ...],
    Kind("the path of a file, or a list of them", (str, list), _files, lambda value: list(map(str, value))),
]
NeededFile = Annotated[Path, Kind(_A_FILE, (str,), _needed_file, str)]
Regex = Annotated[
    re.Pattern[str] | None,
    Kind("a regular expression", (str,), _regex, lambda value: value.pattern if value else ""),
]
Networks = Annotated[
    tuple[Network, ...], Kind('a list of networks such as "10.0.0.0/8"', (list,), _networks, _plain_texts)
]
_LISTEN = 'an address such as ":8880", "127.0.0.1:8880" or "[::1]:8880"'
ListenAt = Annotated[Listen | None, Kind(_LISTEN, (str,), _listen, lambda value: str(value or ""))]
WebAddress = Annotated[str, Kind("an address that begins with http:// or https://", (str,), _web_address)]
CookieName = Annotated[
    str, Kind("a cookie's name: letters, digits and a few signs such as - and _", (str,), _cookie_name)
]
