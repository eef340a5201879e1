"""Whether an event may be kept as it is: signals, consent and place -> keep, anonymise or drop, and why.

Only decisions; what anonymising means is `anonymise`'s business, which rule holds where `regions`'.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from tracker.events import Values
from tracker.steps import coerce
from tracker.steps.regions import ByPlace

Outcome = Literal["keep", "anonymise", "drop"]
Ground = Literal["", "gpc", "dnt", "refused_consent", "no_consent", "residency", "forgotten"]

GROUNDS: Final[Mapping[str, str]] = {
    "gpc": "the browser sent Sec-GPC: 1",
    "dnt": "the browser sent DNT: 1",
    "refused_consent": "cflags lack what the rule of the place asks for",
    "no_consent": "the rule of the place asks for consent, and nothing was said",
    "residency": "no store may have what comes from there",
    "forgotten": "the visitor or user was erased lately (`Privacy.ForgottenFor`)",
}
"""Every ground on which something is withheld: value of the column `ground`, label of a metric."""

_SEVERITY: Mapping[str, int] = {"keep": 0, "anonymise": 1, "drop": 2}


class Decision(NamedTuple):
    """What becomes of an event."""

    outcome: Outcome
    ground: Ground


KEEP: Final = Decision("keep", "")
FORGOTTEN: Final = Decision("drop", "forgotten")


@dataclass(frozen=True, slots=True)
class Rule:
    """What must be agreed to in some places."""

    places: tuple[str, ...]
    """Upper case: `DE`, `US-CA` (by ISO 3166-2 code or the region's name), `EU`, `EEA`, `*`."""
    basis: Literal["opt-in", "opt-out", "none"]
    purposes: int = 0
    """Bits of cflags that must all be set; 0: any bit will do."""
    otherwise: Outcome = "anonymise"


class Guard:
    """Decides by the wishes that count and the rules of places."""

    def __init__(self, gpc: str = "ignore", dnt: str = "ignore", rules: tuple[Rule, ...] = ()) -> None:
        self._gpc = _signal(gpc, "gpc")
        self._dnt = _signal(dnt, "dnt")
        self._rules = ByPlace((place, rule) for rule in rules for place in rule.places)
        self.asks_agreements = bool(rules)
        """Whether cflags make any difference."""
        self.honours_gpc = self._gpc is not KEEP or any(rule.basis == "opt-out" for rule in rules)
        """Whether `Sec-GPC` makes a difference anywhere."""

    def decide(self, country: str, region: str, cflags: int | None, *, gpc: bool, dnt: bool) -> Decision:
        """What becomes of an event from there; `country` is upper case, `region` lower, '' when unknown.

        `cflags` is None when nothing was said. The most severe outcome wins; of equal ones, a signal.
        """
        found = self._gpc if gpc else KEEP
        if dnt:
            found = severest(found, self._dnt)
        if self.asks_agreements and (rule := self._rules.of(country, region)):
            found = severest(found, _by_rule(rule, cflags, gpc=gpc))
        return found


def _signal(outcome: str, ground: Literal["gpc", "dnt"]) -> Decision:
    decisions: dict[str, Decision] = {
        "anonymise": Decision("anonymise", ground),
        "drop": Decision("drop", ground),
    }
    return decisions.get(outcome, KEEP)


def severest(first: Decision, second: Decision) -> Decision:
    """The more severe of two; of equal ones the first."""
    return second if _SEVERITY[second.outcome] > _SEVERITY[first.outcome] else first


def _by_rule(rule: Rule, cflags: int | None, *, gpc: bool) -> Decision:
    if rule.basis == "none":
        return KEEP
    has_agreed = cflags is not None and (
        cflags & rule.purposes == rule.purposes if rule.purposes else cflags != 0
    )
    if rule.basis == "opt-out":
        if cflags is not None and not has_agreed:
            return Decision(rule.otherwise, "refused_consent")
        return Decision(rule.otherwise, "gpc") if gpc else KEEP
    if has_agreed:
        return KEEP
    return Decision(rule.otherwise, "no_consent" if cflags is None else "refused_consent")


def said_flags(values: Values) -> int | None:
    """The consent that was sent with an event; None when none was, or none that can be read."""
    sent: Any = values.get("cflags")
    if sent is None or sent == "":
        return None
    try:
        return coerce.integer(sent, -(2**63), 2**63 - 1)
    except coerce.Misfit:
        return None
