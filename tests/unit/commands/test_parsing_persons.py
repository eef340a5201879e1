"""What may be typed to erase or export a person; everything else ends with 2."""

import pytest

from tracker.commands.parsing import parse


@pytest.mark.parametrize(
    "typed",
    [
        ["forget"],
        ["export"],
        ["forget", "--vid", "a", "--uid", "b"],
        ["export", "--vid", "a", "--receipt", "r"],
        ["forget", "--vi", "a"],
        ["export", "--email"],
    ],
    ids=" ".join,
)
def test_one_person_must_be_named(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parse(typed)
    assert left.value.code == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--vid", "a"], {"vid": "a", "keep": [], "dry_run": False}),
        (
            ["--uid", "a", "--oid", "o", "--keep", "payments, agreed", "--dry-run"],
            {"uid": "a", "oid": "o", "keep": ["payments", "agreed"], "dry_run": True},
        ),
    ],
    ids=["visitor", "user"],
)
def test_what_was_typed_is_what_is_asked(typed: list[str], said: dict[str, object]) -> None:
    action = parse(["forget", *typed])
    assert getattr(action, "args")[1] == said  # noqa: B009 (a partial's)
