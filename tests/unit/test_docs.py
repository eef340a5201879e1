"""What the documentation says is what the code does."""

import re

import pytest

from docs.reference import FOLDER, PAGES
from tests.support.server import ROOT
from tracker.batching.strategies import STRATEGIES
from tracker.tables import CATALOGUE

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_what_make_docs_writes(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "run `make docs`"


def test_the_readme_names_every_strategy_and_table() -> None:
    for name in (*STRATEGIES, *CATALOGUE):
        assert f"`{name}`" in README


def test_the_readme_names_every_view() -> None:
    sql = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "schema" / "duckdb").glob("*.sql"))
    views = re.findall(r"CREATE (?:OR REPLACE )?VIEW (?:IF NOT EXISTS )?(\w+)", sql)
    assert len(views) > 10
    assert {view for view in views if f"`{view}`" not in README} == set()


def test_the_readme_names_every_make_target_that_its_reader_needs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("run", "test", "bench", "help"):
        assert f"make {target}" in README
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "docs/benchmarks.md"])
def test_every_file_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for name in re.findall(r"`((?:docs|tests|tracker|schema|bench)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"`((?:web|steps|batching|sinks)/[\w./-]+\.py)`", text):
        assert (ROOT / "tracker" / name).exists(), name
