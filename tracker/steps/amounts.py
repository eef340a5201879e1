"""Amounts, currencies and moments of payments: what was sent -> the exact form in which a row holds it.

No binary fraction is made on the way. What is none raises Misfit; for which field, the caller knows.
"""

import re
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import cache
from typing import Any, Final

import pycountry

from tracker.steps.coerce import MOST_NANOSECONDS, Misfit
from tracker.steps.json_input import MOST_DIGITS

MOST_AMOUNT: Final = Decimal(10) ** 20
"""Amounts stay below it, so that sums of a billion of them fit the stores' decimals of 38 digits."""
PLACES: Final = Decimal("1e-9")

_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_MOST_SECONDS = MOST_NANOSECONDS // 10**9
_is_number = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?").fullmatch
_is_basic_date = re.compile(r"[0-9]{7,8}").fullmatch
_parts_of_time = re.compile(r"([0-9]{4}[0-9W-]{0,6})(?:[T ]([0-9:.,]+(?:Z|[+-][0-9:]{2,6})?))?").fullmatch
_day_of_year = re.compile(r"([0-9]{4})-?([0-9]{3})").fullmatch
_month = re.compile(r"[0-9]{4}-[0-9]{2}").fullmatch


def amount(value: Any) -> str:
    """A number, or text that is one, as plain decimal text of at most nine places; '' for blank text.

    Rounded half to even. Raises Misfit for anything else and from `MOST_AMOUNT` on.
    """
    number = _number(value)
    if number is None:
        return ""
    if not number.is_finite() or number.copy_abs() >= MOST_AMOUNT:
        raise Misfit
    rounded = number.quantize(PLACES, context=_EXACT)
    if rounded.copy_abs() >= MOST_AMOUNT:
        raise Misfit
    return f"{rounded:f}".rstrip("0").removesuffix(".") if rounded else "0"


def _number(value: Any) -> Decimal | None:
    if type(value) is Decimal or type(value) is int:
        return Decimal(value)
    if type(value) is not str:
        raise Misfit
    text = value.strip()
    if not text:
        return None
    if len(text) > MOST_DIGITS or not _is_number(text):
        raise Misfit
    return Decimal(text)


def currency(value: Any) -> str:
    """A code of ISO 4217 that is in use, in upper case; '' for blank text. Raises Misfit for any other."""
    if type(value) is not str:
        raise Misfit
    code = value.strip().upper()
    if code and code not in _currencies():
        raise Misfit
    return code


@cache
def _currencies() -> Collection[str]:
    return frozenset(one.alpha_3 for one in pycountry.currencies)


def moment(value: Any) -> str:
    """A time as a row holds it, to the millisecond; '' for blank text.

    Taken are dates and date-times of ISO 8601 (calendar, week and ordinal dates, basic and extended form, a
    month alone; T or a blank, a fraction, an offset, none is UTC), and seconds or milliseconds since 1970,
    as numbers or text. Raises Misfit for anything else, before 1970, and after the stores' end in 2262.
    """
    if type(value) is str:
        text = value.strip().upper()
        if not text:
            return ""
        instant = _since_epoch(Decimal(text)) if _is_since_epoch(text) else _iso(text)
    elif type(value) is Decimal or type(value) is int:
        instant = _since_epoch(Decimal(value))
    else:
        raise Misfit
    return f"{instant:%Y-%m-%d %H:%M:%S}.{instant.microsecond // 1000:03d}Z"


def _is_since_epoch(text: str) -> bool:
    return len(text) <= MOST_DIGITS and _is_number(text) is not None and not _is_basic_date(text)


def _since_epoch(number: Decimal) -> datetime:
    """Milliseconds where seconds would lie beyond the stores' end."""
    if not number.is_finite() or not 0 <= number <= _MOST_SECONDS * 1000:
        raise Misfit
    seconds = number if number <= _MOST_SECONDS else number / 1000
    whole = int(seconds)
    return datetime.fromtimestamp(whole, UTC) + timedelta(milliseconds=int((seconds - whole) * 1000))


def _iso(text: str) -> datetime:
    found = _parts_of_time(text)
    if found is None:
        raise Misfit
    try:
        read = datetime.fromisoformat(f"{_day(found[1])}T{found[2]}" if found[2] else _day(found[1]))
        instant = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Misfit from error
    if not 0 <= instant.timestamp() <= _MOST_SECONDS:
        raise Misfit
    return instant


def _day(text: str) -> str:
    """The date with what `fromisoformat` does not read written otherwise. Raises ValueError."""
    if _month(text):
        return f"{text}-01"
    found = _day_of_year(text)
    if found is None:
        return text
    day = date(int(found[1]), 1, 1) + timedelta(days=int(found[2]) - 1)
    if day.year != int(found[1]):
        raise ValueError("a year has no such day")
    return day.isoformat()


def plain(value: Any) -> Any:
    """What was read exactly as documents hold it: whole numbers of 64 bits and fractions that stay exact as
    numbers, all others as their text; objects and arrays made anew.
    """
    if type(value) is dict:
        return {key: plain(item) for key, item in value.items()}
    if type(value) is list:
        return [plain(item) for item in value]
    return _plain_number(value) if type(value) is Decimal else value


def _plain_number(number: Decimal) -> int | float | str:
    if number.as_tuple().exponent == 0:
        return int(number) if -(2**63) <= number < 2**64 else str(number)
    nearest = float(number)
    return nearest if Decimal(repr(nearest)) == number else str(number)
