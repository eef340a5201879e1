"""The section `Privacy`: whose wishes count where, what then becomes of an event, and keys of hashes."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from tracker.config.sections import Section
from tracker.config.values import PERIOD, File, Flag, Kind, LongDuration, Text, Texts, Unfit, choice, key

_PLACE = re.compile(r"\*|[A-Z]{2}|EEA|[A-Z]{2}-[^\s-].{0,99}", re.DOTALL)
_MOST_PURPOSES = 63


def _places(value: list[Any], _: Path) -> tuple[str, ...]:
    places = tuple(item.strip().upper() for item in value if type(item) is str)
    wrong = next((item for item in value if type(item) is not str), None)
    if wrong is not None or not places:
        raise Unfit
    for place in places:
        if not _PLACE.fullmatch(place) or not place.isprintable():
            raise Unfit(f"{place!a} is none")
    return places


def _purposes(value: dict[str, Any], _: Path) -> dict[str, int]:
    if len(value) > _MOST_PURPOSES:
        raise Unfit(f"at most {_MOST_PURPOSES} of them")
    for name, bits in value.items():
        if not name or type(bits) is not int or not 0 < bits < 2**63:
            raise Unfit(f"the bits of {name!a} are none")
    return dict(value)


Places = Annotated[
    tuple[str, ...],
    Kind('a list of places such as "DE", "US-CA", "EU" (its members), "EEA" or "*"', (list,), _places, list),
]
Purposes = Annotated[
    Mapping[str, int],
    Kind('bits of cflags by name, such as {"marketing": 4096}', (dict,), _purposes, dict),
]
Outcome = Annotated[Literal["anonymise", "drop"], choice("anonymise", "drop")]
Signal = Annotated[Literal["ignore", "anonymise", "drop"], choice("ignore", "anonymise", "drop")]


class ConsentRule(Section):
    """What must be agreed to in some places; the rule with the narrowest place counts."""

    regions: Places = key("Regions", ..., "where it holds: region before country before EU or EEA before *")
    basis: Annotated[Literal["opt-in", "opt-out", "none"], choice("opt-in", "opt-out", "none")] = key(
        "Basis",
        ...,
        "opt-in: who agreed is tracked; opt-out: all but who refused or sends Sec-GPC; none: everyone",
    )
    purposes: Texts = key(
        "Purposes",
        [],
        "names in Privacy.Purposes whose bits of cflags must all be set; none: any cflags but 0",
    )
    otherwise: Outcome = key("Otherwise", "anonymise", "what becomes of events of who did not agree")


class ResidencyRule(Section):
    """Which stores may have what comes from some places."""

    regions: Places = key("Regions", ..., "where it holds; the narrowest place counts, as in Consent")
    sinks: Texts = key("Sinks", ..., "names, or services, of the stores in Notify that may have it")
    otherwise: Annotated[Literal["refuse", "anonymise"], choice("refuse", "anonymise")] = key(
        "Otherwise",
        "refuse",
        "where none of these stores is written to: refuse it, or send it to all without who it was",
    )


class Privacy(Section):
    """What is kept of whom."""

    gpc: Signal = key("GPC", "anonymise", "what becomes of events that come with Sec-GPC: 1")
    dnt: Signal = key("DNT", "ignore", "what becomes of events that come with DNT: 1")
    consent: tuple[ConsentRule, ...] = key("Consent", [], "where consent is asked for")
    purposes: Purposes = key("Purposes", {"marketing": 4096}, "what the bits of cflags mean, for Consent")
    residency: tuple[ResidencyRule, ...] = key(
        "Residency",
        [],
        "where events, payments and agreements may be stored, by where they come from; empty: everywhere",
    )
    use_stored_agreements: Flag = key(
        "UseStoredAgreements",
        False,
        "an event without cflags has those of its visitor's agreement (see /tr/v1/ppi/agree)",
    )
    ip_hash: Annotated[Literal["keyed", "original"], choice("keyed", "original")] = key(
        "IPHash",
        "keyed",
        "how iphash is made: with IPHashKey, or as the original did, which anyone can reverse",
    )
    ip_hash_key: Text = key(
        "IPHashKey",
        "",
        "key of iphash, the same for all collectors of a store; empty: one made at the first start",
        secret=True,
    )
    key_folder: File = key(
        "KeyFolder",
        "",
        "folder of keys made here, the same for all collectors of a machine; empty: keys in Spool.Path",
    )
    forgotten_for_seconds: LongDuration = key(
        "ForgottenFor", "30d", "how long what comes of a forgotten visitor or user is not stored"
    )
    prune_every: Annotated[float | None, PERIOD] = key(
        "PruneEvery", "", "how often the server prunes by itself, such as 24h; empty: only --prune does"
    )
