"""What the README says a person can do, done to a server by the program that people run themselves."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.checks import CHECKS
from tests.functional.site import Failed, Site
from tests.support.server import ROOT, Server, running

AT_ONCE = {"default": {"Strategy": "immediate"}}
CLICKHOUSE: list[dict[str, Any]] = [
    {"Service": "clickhouse", "Hosts": ["embedded"], "Context": "data/clickhouse"}
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("functional"), Batching=AT_ONCE) as one:
        yield one


@pytest.mark.parametrize("name", list(CHECKS))
def test_a_server_does_what_the_readme_says(server: Server, name: str) -> None:
    CHECKS[name](Site(server.url, server.config))


@pytest.mark.long
@pytest.mark.parametrize("name", list(CHECKS))
def test_with_clickhouse_it_does_so_too(clickhouse: Server, name: str) -> None:
    CHECKS[name](Site(clickhouse.url, clickhouse.config))


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("functional"), Batching=AT_ONCE, Notify=CLICKHOUSE) as one:
        yield one


def made(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """`make …` of the checkout."""
    return subprocess.run(
        ["make", "--no-print-directory", "--assume-old=install", f"PYTHON={sys.executable}", *words],
        cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_target_runs_its_check_and_says_how_it_ended(server: Server, tmp_path: Path) -> None:
    told = made("test-functional-health", f"URL={server.url}", f"CONFIG={server.config}")
    assert (told.returncode, told.stdout.split(":")[0]) == (0, "ok     health")
    told = made("test-functional-health", "URL=http://127.0.0.1:1", f"CONFIG={server.config}")
    assert told.returncode == 2
    assert "FAILED health: http://127.0.0.1:1: " in told.stderr


def test_db_admin_makes_an_account_that_owns_every_host(server: Server) -> None:
    told = made("db-admin", f"CONFIG={server.config}").stdout.split()
    assert (told[0], told[2]) == ("account", "password")
    path = f"/tr/v1/rpi/redirects/{told[1]}/{told[3]}/any.example"
    assert "results" in Site(server.url, server.config).get(path).json


@pytest.mark.parametrize("name", [name for name in CHECKS if name != "redirects"])
def test_a_server_that_is_not_there_fails_every_check(name: str, server: Server) -> None:
    with pytest.raises(Failed):
        CHECKS[name](Site("http://127.0.0.1:1", server.config))
