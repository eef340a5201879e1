"""`public/shorten_url.html` and `track_url.html` as a person uses them, in Debian's Chromium."""

import base64
import http.client
import importlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.accounts import account
from tests.support.server import ROOT, Server, running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
ASIDE = "https://shop.example/?a=<img/src=x/onerror=alert(1)>&utm_source=page"


class Page:
    """A page of the server in a browser of its own; what it complains about is kept."""

    def __init__(self, browser: Any, server: Server, name: str) -> None:
        self.complaints: list[str] = []
        self._context = browser.new_context()
        self.page = self._context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("dialog", self._asked)
        self.page.goto(f"{server.url}/tr/v1/pub/{name}")

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, dialog: Any) -> None:
        self.complaints.append(dialog.message)
        dialog.dismiss()

    def fill(self, **values: str) -> None:
        """Type into fields, by their ids."""
        for name, value in values.items():
            self.page.fill(f"#{name}", value)

    def press(self, selector: str, said: str) -> None:
        """Press a button and wait until the page says this."""
        self.page.click(selector)
        status = self.page.locator("#status", has_text=re.compile(r"[^\s…]"))
        status.wait_for(timeout=10_000)
        assert said in status.inner_text()

    def kept(self) -> str:
        """Everything that the browser keeps of the page, and its address."""
        storage = self.page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
        return f"{json.dumps(self._context.cookies())} {storage} {self.page.url}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium")
    assert chromium, "make browser-test needs chromium on the PATH (Debian: apt-get install chromium)"
    with importlib.import_module("playwright.sync_api").sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path, StaticDirectory=str(ROOT / "public")) as started:
        yield started


def person(server: Server) -> tuple[str, str]:
    """Id and password of a new account."""
    uid, _, password = base64.b64decode(account(server).removeprefix("Basic ")).decode().partition(":")
    return uid, password


def test_a_link_is_made_listed_and_followed(browser: Any, server: Server) -> None:
    uid, password = person(server)
    host = f"127.0.0.1:{server.port}"
    page = Page(browser, server, "shorten_url.html")
    page.fill(uid=uid, password=password, urlfrom=f"http://{host}/sale", urlto=ASIDE)
    page.press("button[type=submit]", "stored")
    page.press("#list", "1 changes")
    cells = page.page.locator("#results tbody td")
    assert cells.nth(1).inner_text().endswith("/sale")
    assert cells.nth(2).inner_text() == ASIDE  # as text, not as a tag
    assert password not in page.kept()
    assert page.complaints == []

    connection = http.client.HTTPConnection(host, timeout=10)
    connection.request("GET", "/sale")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"][:30]) == (302, "https://shop.example/?a=%3Cimg")
    connection.close()


def test_a_wrong_password_is_said_so(browser: Any, server: Server) -> None:
    uid, _ = person(server)
    page = Page(browser, server, "shorten_url.html")
    page.fill(uid=uid, password="wrong", urlfrom="https://go.example/sale", urlto="https://shop.example/")
    page.press("button[type=submit]", "401")


def test_a_tracked_link_leads_where_it_says_and_its_click_is_an_event(browser: Any, server: Server) -> None:
    page = Page(browser, server, "track_url.html")
    page.fill(url=f"{server.url}/livez", utm_source="mail", ptyp="offer")
    link = page.page.locator("#link").inner_text()
    assert link.startswith(f"{server.url}/tr/v1/rdr/?")
    page.page.goto(link)
    assert page.page.url == f"{server.url}/livez"
    page.page.goto(f"{server.url}/tr/v1/pub/track_url.html")
    page.fill(url="javascript:alert(1)")
    assert page.page.locator("#link").inner_text() == ""
    assert page.complaints == []
    (row,) = server.rows_when("SELECT source, ptyp FROM events WHERE ptyp = 'offer'", 1)
    assert row == {"source": "mail", "ptyp": "offer"}
