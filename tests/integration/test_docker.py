"""The image as people get it: built, run, healthy, killed and stopped, in a Docker of the tests' own.

No image can be pulled here, so the one that the Dockerfile begins with is made by debootstrap under its very
tag. `make docker-test` asks for it; it needs root, Docker's engine, docker-compose and debootstrap.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.processes import free_port
from cluster.description import read
from cluster.home import COMPOSE, Home
from tests.support.server import ROOT, Server

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

SECONDS = 120
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PROFILES = {
    "duckdb": {"tracker"},
    "clickhouse": {"tracker-clickhouse"},
    "cluster": {"tracker-cluster", "v4-tracker-1", "v4-tracker-2", "v4-tracker-3"},
}
CLICKHOUSE = re.findall(r"^FROM (\S+) AS clickhouse$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[0]
STAND_IN = """#!/opt/venv/bin/python
import http.server, sys
from xml.etree import ElementTree

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

config = ElementTree.parse(sys.argv[2].removeprefix("--config-file="))
http.server.HTTPServer(("127.0.0.1", int(config.findtext("http_port"))), Answer).serve_forever()
"""
BASE = re.findall(r"^FROM (\S+) AS tracker$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[0]


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which `docker` means a daemon that the tests started."""
    missing = [
        name for name in ("dockerd", "docker", "docker-compose", "debootstrap") if not shutil.which(name)
    ]
    assert not missing, f"make docker-test needs {', '.join(missing)} on the PATH"
    folder = tmp_path_factory.mktemp("docker")
    environ = {**os.environ, "DOCKER_HOST": f"unix://{folder}/sock", "DOCKER_NETWORK": "host"}
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(
            ["dockerd", "--iptables=false", "--bridge=none", f"--data-root={folder}/root",
             f"--exec-root={folder}/exec", f"--pidfile={folder}/pid", f"--host=unix://{folder}/sock"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        until(lambda: run(environ, "docker", "info", is_right=None).returncode == 0, folder / "log")
        yield environ
    finally:
        daemon.terminate()
        daemon.wait(60)
        subprocess.run(["umount", f"{folder}/exec/netns/default"], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def image(docker: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """With `tracker:latest` built by `make docker-build`."""
    root = tmp_path_factory.mktemp("base")
    mirror = re.findall(r"https?://\S+", run(docker, "apt-cache", "policy", "python3").stdout)[0]
    packages = "python3,python3-venv,ca-certificates"
    run(docker, "debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(root), mirror)
    shutil.copy2(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(
            ["docker", "import", "-", BASE], stdin=tar.stdout, env=docker, check=True, capture_output=True
        )
    shutil.rmtree(root)
    run({**docker, "PIP_CERT": str(CERTIFICATES)}, "make", "docker-build")
    return docker


@contextmanager
def running(environ: dict[str, str]) -> Iterator[tuple[dict[str, str], Server]]:
    """A container of its own, by `make docker-run`, on a free port."""
    port = free_port()
    environ = {**environ, "CONTAINER": f"tracker-test-{port}", "TRACKER_PORT": str(port)}
    try:
        run(environ, "make", "docker-run")
        yield environ, Server(Path("config.json"), port)
    finally:
        run(environ, "docker", "rm", "--force", environ["CONTAINER"], is_right=None)
        volumes = [f"{environ['CONTAINER']}-{name}" for name in ("data", "clickhouse")]
        run(environ, "docker", "volume", "rm", "--force", *volumes, is_right=None)


@pytest.fixture
def started(image: dict[str, str]) -> Iterator[tuple[dict[str, str], Server]]:
    """The image in a container."""
    with running(image) as container:
        yield container


@pytest.fixture(scope="module")
def image_beside(image: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """With `tracker-clickhouse:latest`, in which a stand-in is the `clickhouse` program."""
    root = tmp_path_factory.mktemp("clickhouse")
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "usr" / "bin" / "clickhouse").write_text(STAND_IN, encoding="utf-8")
    (root / "usr" / "bin" / "clickhouse").chmod(0o755)
    tar = subprocess.run(["tar", "-C", str(root), "-c", "usr"], stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["docker", "import", "-", CLICKHOUSE], input=tar, env=image, check=True)
    environ = {**image, "WITH_CLICKHOUSE": "1", "CLICKHOUSE_HTTP_PORT": str(free_port())}
    run({**environ, "PIP_CERT": str(CERTIFICATES)}, "make", "docker-build")
    return environ


def run(
    environ: dict[str, str], *command: str, is_right: bool | None = True
) -> "subprocess.CompletedProcess[str]":
    """Run it in the project's folder; `is_right`: whether it must succeed, None: either way."""
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=1500
    )
    assert is_right is None or (done.returncode == 0) == is_right, done.stdout + done.stderr
    return done


def until(is_so: "Any", log: Path | None = None) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline, log.read_text()[-3000:] if log else "too late"
        time.sleep(0.2)


def inspected(environ: dict[str, str]) -> dict[str, Any]:
    told = run(environ, "docker", "container", "inspect", environ["CONTAINER"]).stdout
    found: dict[str, Any] = json.loads(told)[0]
    return found


def events(environ: dict[str, str], name: str) -> int:
    command = [
        "python",
        "-m",
        "tracker",
        "sql",
        "--csv",
        f"SELECT count(*) FROM events WHERE ename = '{name}'",  # noqa: S608 - a name of ours
    ]
    told = run(environ, "docker", "exec", environ["CONTAINER"], *command, is_right=None).stdout
    return int(told.split()[-1]) if told else -1


def test_it_starts_as_shipped_healthy_and_as_nobody_special(started: tuple[dict[str, str], Server]) -> None:
    environ, _ = started
    assert inspected(environ)["State"]["Health"]["Status"] == "healthy"
    told = run(environ, "docker", "exec", environ["CONTAINER"], "id", "-u").stdout
    assert told.strip() == "10001"
    run(environ, "make", "docker-test-all")


def test_it_keeps_what_it_acknowledged_over_a_restart_and_a_kill(
    started: tuple[dict[str, str], Server],
) -> None:
    environ, server = started
    for ending in (["restart"], ["kill"]):
        name = f"before_{ending[0]}"
        for _ in range(20):
            assert server.post("/tr/v1/tr/", {"ename": name})[0] == 200
        run(environ, "docker", *ending, environ["CONTAINER"])
        if ending == ["kill"]:
            run(environ, "docker", "start", environ["CONTAINER"])
        until(server.is_alive)
        until(lambda name=name: events(environ, name) == 20)


def test_it_stops_cleanly(started: tuple[dict[str, str], Server]) -> None:
    environ, _ = started
    before = time.monotonic()
    run(environ, "docker", "stop", environ["CONTAINER"])
    assert time.monotonic() - before < 10
    assert inspected(environ)["State"]["ExitCode"] == 0


def test_a_stopped_server_is_unhealthy(started: tuple[dict[str, str], Server]) -> None:
    environ, _ = started
    check = inspected(environ)["Config"]["Healthcheck"]["Test"][1:]
    pid = str(inspected(environ)["State"]["Pid"])
    run(environ, "kill", "-STOP", pid)
    try:
        run(environ, "timeout", "20", "docker", "exec", environ["CONTAINER"], *check, is_right=False)
    finally:
        run(environ, "kill", "-CONT", pid)
    run(environ, "docker", "exec", environ["CONTAINER"], *check)


def test_nothing_of_the_build_and_no_secret_is_in_the_image(image: dict[str, str]) -> None:
    history = run(
        image, "docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", "tracker:latest"
    ).stdout
    assert "PIP_" not in history
    settings = json.loads(run(image, "docker", "image", "inspect", "tracker:latest").stdout)[0]["Config"][
        "Env"
    ]
    assert not [each for each in settings if re.search("PIP|PASSWORD|SECRET", each)]
    command = "cd /app && find . -type f | cut -d/ -f2 | sort -u | tr '\\n' ' '; which pip gcc clickhouse"
    found = run(image, "docker", "run", "--rm", "--network=host", "--entrypoint", "sh", "tracker:latest",
                "-c", command, is_right=None).stdout  # fmt: skip
    assert found.split() == [
        "cluster",
        "config.json",
        "entrypoint.sh",
        "requirements.lock",
        "schema",
        "tracker",
    ]


def test_with_a_server_beside_it_a_container_ends_when_one_of_them_does(image_beside: dict[str, str]) -> None:
    with running(image_beside) as (environ, tracker):
        command = "id -u; stat -c %a%U /var/lib/clickhouse/.clickhouse_password"
        told = run(environ, "docker", "exec", environ["CONTAINER"], "sh", "-c", command).stdout
        assert told.split() == ["10001", "600tracker"]
        assert tracker.post("/tr/v1/tr/", {"ename": "beside"})[0] == 200
        processes = run(environ, "docker", "top", environ["CONTAINER"], "-eo", "pid,args").stdout
        (server,) = [line.split()[0] for line in processes.splitlines() if "/clickhouse server" in line]
        run(environ, "kill", "-KILL", server)
        until(lambda: inspected(environ)["RestartCount"] == 1)
        until(tracker.is_alive)
        run(environ, "docker", "stop", environ["CONTAINER"])
        assert inspected(environ)["State"]["ExitCode"] == 0
        assert "ClickHouse ended with 137" in run(environ, "docker", "logs", environ["CONTAINER"]).stderr


@pytest.mark.parametrize("profile", PROFILES)
def test_the_compose_program_takes_the_file(docker: dict[str, str], profile: str) -> None:
    command = ["docker-compose", "--profile", profile, "config", "--services"]
    services = set(run(docker, *command).stdout.split())
    assert services >= PROFILES[profile]


def test_the_compose_program_finds_the_files_of_the_clusters_servers(docker: dict[str, str]) -> None:
    told = run(docker, "docker-compose", "--profile", "cluster", "config").stdout
    for name in ("v4-tracker-1", "v4-tracker-2", "v4-tracker-3"):
        assert f"{ROOT}/cluster/generated/{name}" in told


def test_the_compose_program_takes_the_generated_file(docker: dict[str, str]) -> None:
    file = "cluster/generated/compose.yml"
    told = run(docker, "docker-compose", "--file", file, "config", "--services").stdout
    assert sorted(told.split()) == ["v4-tracker-1", "v4-tracker-2", "v4-tracker-3"]


def test_compose_does_what_a_cluster_of_containers_asks_of_it(docker: dict[str, str], tmp_path: Path) -> None:
    home = Home(tmp_path / "home", read(), COMPOSE)
    home.write()
    given = ["--home", str(home.folder)]
    status = run(docker, sys.executable, "-m", "cluster", "status", *given, is_right=False)
    assert [line.split()[-1] for line in status.stdout.splitlines()] == ["stopped"] * 3, status.stderr
    for action in ("logs", "stop", "clean"):
        run(docker, sys.executable, "-m", "cluster", action, *given)
    assert list(home.folder.iterdir()) == []


def test_the_profile_with_duckdb_starts(image: dict[str, str], tmp_path: Path) -> None:
    # This Docker has no bridge; the port is the only thing of the file that the network changes.
    port = free_port()
    override = tmp_path / "host.yml"
    environment = {"TRACKER_PROXYEXCEPTHTTP": f"127.0.0.1:{port}"}
    changed = {"services": {"tracker": {"network_mode": "host", "environment": environment}}}
    override.write_text(json.dumps(changed), encoding="utf-8")
    text = (ROOT / "docker-compose.yml").read_text().replace('    ports: ["127.0.0.1:8880:8880"]\n', "", 1)
    shutil.copytree(ROOT / "cluster" / "generated", tmp_path / "cluster" / "generated")
    (tmp_path / "docker-compose.yml").write_text(text, encoding="utf-8")
    command = ["docker-compose", "--project-name", "tracker-test", "--profile", "duckdb",
               "--file", str(tmp_path / "docker-compose.yml"), "--file", str(override)]  # fmt: skip
    server = Server(Path("config.json"), port)
    try:
        run(image, *command, "up", "--detach", "--no-build")
        until(server.is_alive)
        assert server.post("/tr/v1/tr/", {"ename": "composed"})[0] == 200
    finally:
        run(image, *command, "down", "--volumes")
