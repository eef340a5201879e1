"""A stand-in for the `clickhouse` binary: `clickhouse server --config-file=FILE` reads the files it would.

It answers HTTP by `tests.support.clickhouse_server`, the real engine without Keeper, replication and
clusters: for the logic of scripts that start and stop servers. `install` makes an executable of it.
"""

# ruff: noqa: S314 (the files are ours)

import hashlib
import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
VERSION = "ClickHouse stand-in version 26.9"


def install(folder: Path) -> Path:
    """An executable `clickhouse` in this folder, to be put first on a PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "clickhouse"
    file.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__)}" "$@"\n', encoding="utf-8")
    file.chmod(0o755)
    return folder


def main(arguments: list[str]) -> None:
    """Be the test server that these files describe."""
    if arguments == ["--version"]:
        print(VERSION)
    else:
        serve(Path(arguments[1].removeprefix("--config-file=")))


def serve(config: Path) -> None:
    """Take port, folder and user from the configuration, the password from the environment."""
    told = ElementTree.parse(config)
    user = next(iter(ElementTree.parse(config.with_name("users.xml")).iterfind("users/*")))
    data = Path(_text(told, "path"))
    users = data.with_name("users.json")
    password = os.environ["CLICKHOUSE_PASSWORD"]
    assert os.environ[_variable(user)] == hashlib.sha256(password.encode()).hexdigest()
    users.write_text(json.dumps({user.tag: {"password": password}}), encoding="utf-8")
    given = ["--folder", str(data / "engine"), "--port", _text(told, "http_port"), "--users", str(users)]
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    sys.argv[1:] = given
    from tests.support import clickhouse_server

    clickhouse_server.main()


def _variable(user: ElementTree.Element) -> str:
    password = user.find("password_sha256_hex")
    assert password is not None
    return password.attrib["from_env"]


def _text(told: "ElementTree.ElementTree[ElementTree.Element]", name: str) -> str:
    found = told.findtext(name)
    assert found is not None, name
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
