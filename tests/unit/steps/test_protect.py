"""Who may be kept as sent: signals, consent and places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.steps.protect import GROUNDS, KEEP, Decision, Guard, Rule, said_flags
from tracker.steps.regions import EEA, EU

MARKETING, ANALYTICS = 4096, 1024
OPT_IN = Rule(("DE",), "opt-in")


def decided(
    guard: Guard,
    country: str = "",
    region: str = "",
    cflags: int | None = None,
    *,
    gpc: bool = False,
    dnt: bool = False,
) -> tuple[str, str]:
    return guard.decide(country, region, cflags, gpc=gpc, dnt=dnt)


@pytest.mark.parametrize("outcome", ["anonymise", "drop"])
def test_a_signal_does_what_was_configured_for_it_wherever_it_comes_from(outcome: str) -> None:
    guard = Guard(gpc=outcome, dnt="ignore")
    assert decided(guard, "DE", gpc=True) == decided(guard, gpc=True) == (outcome, "gpc")
    assert decided(guard, dnt=True) is decided(guard) is KEEP
    assert decided(Guard(dnt=outcome), dnt=True) == (outcome, "dnt")


def test_the_most_severe_outcome_wins_and_of_equal_ones_the_signal() -> None:
    assert decided(Guard("anonymise", "drop"), gpc=True, dnt=True) == ("drop", "dnt")
    assert decided(Guard("drop", "anonymise"), gpc=True, dnt=True) == ("drop", "gpc")
    both = Guard("anonymise", rules=(Rule(("*",), "opt-in"),))
    assert decided(both, gpc=True) == ("anonymise", "gpc")
    stricter = Guard("anonymise", rules=(Rule(("*",), "opt-in", otherwise="drop"),))
    assert decided(stricter, gpc=True) == ("drop", "no_consent")


@pytest.mark.parametrize(
    ("cflags", "ground"),
    [(None, "no_consent"), (0, "refused_consent"), (1, ""), (MARKETING, ""), (-1, "")],
)
def test_opt_in_keeps_who_agreed_to_anything_when_no_purpose_is_named(
    cflags: int | None, ground: str
) -> None:
    guard = Guard(rules=(OPT_IN,))
    assert decided(guard, "DE", "", cflags)[1] == ground
    assert decided(guard, "FR", "", cflags) is KEEP


@pytest.mark.parametrize(
    ("cflags", "ground"),
    [
        (None, "no_consent"),
        (0, "refused_consent"),
        (MARKETING, "refused_consent"),
        (ANALYTICS, "refused_consent"),
        (MARKETING | ANALYTICS, ""),
        (MARKETING | ANALYTICS | 1, ""),
        (-1, ""),
    ],
)
def test_every_bit_of_the_purposes_must_be_agreed_to(cflags: int | None, ground: str) -> None:
    guard = Guard(rules=(Rule(("DE",), "opt-in", MARKETING | ANALYTICS, "drop"),))
    assert decided(guard, "DE", "", cflags) == (("drop", ground) if ground else KEEP)


@pytest.mark.parametrize(
    ("cflags", "gpc", "ground"),
    [
        (None, False, ""),
        (None, True, "gpc"),
        (MARKETING, False, ""),
        (MARKETING, True, "gpc"),
        (0, False, "refused_consent"),
        (ANALYTICS, True, "refused_consent"),
    ],
)
def test_opt_out_keeps_all_but_who_refused_or_sends_the_signal(
    cflags: int | None, gpc: bool, ground: str
) -> None:
    guard = Guard(gpc="ignore", rules=(Rule(("US-CA",), "opt-out", MARKETING),))
    assert decided(guard, "US", "ca", cflags, gpc=gpc)[1] == ground
    assert decided(guard, "US", "nv", cflags, gpc=gpc) is KEEP


def test_none_keeps_everyone_and_excepts_a_place_from_a_wider_one() -> None:
    guard = Guard(rules=(Rule(("CH",), "none"), Rule(("*",), "opt-in")))
    assert decided(guard, "CH") is KEEP
    assert decided(guard, "JP") == decided(guard) == ("anonymise", "no_consent")


@pytest.mark.parametrize("region", ["ca", "us-ca", "california"])
def test_a_region_is_known_by_its_code_and_by_its_name(region: str) -> None:
    assert decided(Guard(rules=(Rule(("US-CA",), "opt-in"),)), "US", region)[1] == "no_consent"
    assert decided(Guard(rules=(Rule(("US-CA",), "opt-in"),)), "CA", region) is KEEP


def test_a_region_that_iso_does_not_know_is_known_by_what_was_written() -> None:
    assert decided(Guard(rules=(Rule(("DE-BAVARIA",), "opt-in"),)), "DE", "bavaria")[1] == "no_consent"


@given(st.permutations(["US-CA", "US", "*"]))
def test_the_narrowest_place_speaks_in_whatever_order_rules_stand(order: list[str]) -> None:
    basis = {"US-CA": "opt-in", "US": "none", "*": "opt-in"}
    outcome = {"US-CA": "drop", "US": "drop", "*": "anonymise"}
    guard = Guard(rules=tuple(Rule((one,), basis[one], 0, outcome[one]) for one in order))  # type: ignore[arg-type]
    assert decided(guard, "US", "california")[0] == "drop"
    assert decided(guard, "US", "texas") is KEEP
    assert decided(guard, "DE")[0] == decided(guard)[0] == "anonymise"


@given(st.permutations([("US-CA", "EEA"), ("DE",), ("EU", "*")]))
def test_places_of_one_rule_are_judged_one_by_one(order: list[tuple[str, ...]]) -> None:
    names = {("US-CA", "EEA"): 1, ("DE",): 2, ("EU", "*"): 4}
    guard = Guard(rules=tuple(Rule(places, "opt-in", names[places]) for places in order))
    assert decided(guard, "DE", "", 2) is decided(guard, "FR", "", 4) is KEEP
    assert decided(guard, "NO", "", 1) is decided(guard, "US", "ca", 1) is decided(guard, "US", "", 4) is KEEP


def test_the_union_has_its_members_and_the_area_three_more() -> None:
    assert {"IS", "LI", "NO"} == EEA - EU
    assert {"DE", "GR", "RE"} <= EU
    assert not {"GB", "CH", "EU", "EL"} & EU
    assert all(len(code) == 2 for code in EU)


def test_a_guard_says_whether_the_signal_makes_a_difference_anywhere() -> None:
    assert Guard("anonymise").honours_gpc
    assert Guard("ignore", rules=(Rule(("US-CA",), "opt-out"),)).honours_gpc
    assert not Guard("ignore", "drop", (OPT_IN,)).honours_gpc


@given(
    st.sampled_from(["ignore", "anonymise", "drop"]),
    st.sampled_from(["ignore", "anonymise", "drop"]),
    st.lists(
        st.builds(
            Rule,
            st.lists(st.sampled_from(["*", "EU", "EEA", "DE", "US", "US-CA", "US-ca"]), min_size=1).map(
                tuple
            ),
            st.sampled_from(["opt-in", "opt-out", "none"]),
            st.integers(0, 2**63 - 1),
            st.sampled_from(["anonymise", "drop"]),
        ),
        max_size=4,
    ),
    st.text(max_size=3),
    st.text(max_size=3),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.booleans(),
)
def test_every_decision_is_one_of_the_few(
    gpc: str,
    dnt: str,
    rules: list[Rule],
    country: str,
    region: str,
    cflags: int | None,
    has_gpc: bool,
    has_dnt: bool,
) -> None:
    guard = Guard(gpc, dnt, tuple(rules))
    decision = guard.decide(country, region, cflags, gpc=has_gpc, dnt=has_dnt)
    assert decision is KEEP or (decision.outcome in ("anonymise", "drop") and decision.ground in GROUNDS)
    assert isinstance(decision, Decision)
    if not has_gpc and not has_dnt and not rules:
        assert decision is KEEP


@pytest.mark.parametrize(
    ("sent", "flags"),
    [
        ({}, None),
        ({"cflags": None}, None),
        ({"cflags": ""}, None),
        ({"cflags": 0}, 0),
        ({"cflags": "0"}, 0),
        ({"cflags": "4096"}, 4096),
        ({"cflags": 4096.0}, 4096),
        ({"cflags": True}, None),
        ({"cflags": {"a": 1}}, None),
        ({"cflags": "yes"}, None),
        ({"cflags": 2**80}, None),
    ],
)
def test_consent_that_cannot_be_read_is_none(sent: dict[str, object], flags: int | None) -> None:
    assert said_flags(sent) == flags
