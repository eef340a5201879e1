"""The helper pages under /pub/ can be trusted with a password and with what the API answers."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

PUBLIC = Path(__file__).parents[3] / "public"
PAGES = sorted(PUBLIC.glob("*.html"))
SCRIPTS = sorted(PUBLIC.glob("*.js"))
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|\beval\b|\bFunction\(|setTimeout\(\s*[\"'`]"
    r"|document\.cookie\s*=|localStorage|sessionStorage|indexedDB|location\s*=|location\.(?:href|search|hash)\s*="
    r"|history\.(?:push|replace)State|javascript:|\.(?:cookie|name)\s*=[^=]|setAttribute"
)
"""What puts text into a page as markup, runs text, or leaves something behind in the browser."""


class Page(HTMLParser):
    """What a page loads, and everything in it that would be code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self.policy = ""
        self.ids: set[str] = set()
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._tag = tag
        self.ids |= {given[name] for name in ("id", "for") if name in given}
        self.loaded += [value for name, value in given.items() if name in ("src", "href", "action", "data")]
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]

    def handle_data(self, data: str) -> None:
        if self._tag in ("script", "style") and data.strip():
            self.inline.append(data)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_has_no_code_of_its_own_and_loads_nothing_from_elsewhere(path: Path) -> None:
    page = Page(path.read_text(encoding="utf-8"))
    assert page.inline == []
    assert set(page.loaded) == {"helper.css", path.with_suffix(".js").name}
    assert all((PUBLIC / name).is_file() for name in page.loaded)
    policy = dict(part.strip().split(" ", 1) for part in page.policy.split(";"))
    assert policy.pop("default-src") == "'none'"
    assert set(policy.values()) <= {"'self'", "'none'"}
    assert {"base-uri", "form-action"} <= set(policy)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_shows_text_as_text_and_leaves_nothing_behind(path: Path) -> None:
    code = path.read_text(encoding="utf-8")
    assert FORBIDDEN.findall(code) == []
    page = Page(path.with_suffix(".html").read_text(encoding="utf-8"))
    assert set(re.findall(r'field\("(\w+)"\)', code)) <= page.ids


def test_every_page_of_the_original_is_there() -> None:
    assert {path.name for path in PAGES} == {"shorten_url.html", "track_url.html"}
    assert [path.stem for path in PAGES] == [path.stem for path in SCRIPTS]


@pytest.mark.parametrize(
    "bad",
    [
        "field('x').innerHTML = text",
        "document.cookie = 'key=' + password",
        "localStorage.key = password",
        "location.href = '?password=' + password",
        "history.pushState({}, '', password)",
    ],
)
def test_what_is_forbidden_would_be_seen(bad: str) -> None:
    assert FORBIDDEN.search(bad)
