"""The description of the routes: sound, complete, and what the real server does, whatever it is asked."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from prometheus_client import CollectorRegistry
from schemathesis import Case, GenerationMode, openapi
from schemathesis.checks import CHECKS, not_a_server_error
from schemathesis.core.result import Ok

from tests.support.links import services_of
from tests.support.server import ROOT, Server, running
from tests.support.web import RecordingSpooler, Source
from tracker import clock
from tracker.metrics import Metrics
from tracker.pipeline import Pipeline, PipelineSettings
from tracker.web.control_services import Persons
from tracker.web.openapi import document
from tracker.web.openapi.routes import ALL, Operation
from tracker.web.server import make_app
from tracker.web.settings import WebSettings

DESCRIBED = document({one.route: ("GET", "POST") for one in ALL}, "v1")
SCHEMA = openapi.from_dict(DESCRIBED)
OPERATIONS = {one.ok().label: one.ok() for one in SCHEMA.get_all_operations() if isinstance(one, Ok)}
SECURED = {
    f"{one.method.upper()} /{one.path.replace('{v}', 'v1')}": one
    for one in ALL
    if one.security and one.security[0]
}
EXAMPLES = {f"{one.method} {one.path}": one for one in ALL if one.example and one.status == 200}
HEADS = ("status_code_conformance", "response_headers_conformance")
BODIES = ("content_type_conformance", "response_schema_conformance")
HOST = "yourdomain.com"
PASSWORD = "a long enough password"
SOME, MANY = 3, 50
FEW = 30
"""Where each request has a password looked at, which takes long on purpose."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("described")
    more: dict[str, Any] = {
        "DefaultRedirect": "https://home.example/",
        "StaticDirectory": str(ROOT / "public"),
    }
    with running(folder, **more) as started:
        started.rows("SELECT 1")  # the store is open
        yield started


def named(*names: str) -> list[Any]:
    return [check for check in CHECKS.get_all() if check.__name__ in names]


@pytest.fixture(scope="module")
def account(server: Server) -> dict[str, str]:
    """The header of an administrator's account."""
    config = ("--config", str(server.config))
    made = server.command("accounts", "add", *config, "--admin", "--password-stdin", stdin=PASSWORD)
    assert made.returncode == 0, made.stderr
    words = f"{made.stdout.strip()}:{PASSWORD}".encode()
    return {"Authorization": f"Basic {base64.b64encode(words).decode()}"}


def holds(server: Server, case: Case[Any], headers: dict[str, str] | None) -> None:
    """Ask, and hold the answer against the description; of an answer without a body, its head."""
    response = case.call(base_url=server.url, headers=headers, allow_redirects=False, timeout=20)
    names = (*HEADS, *BODIES) if response.content else HEADS
    case.validate_response(response, checks=[not_a_server_error, *named(*names)])


def ask_often(
    server: Server,
    label: str,
    times: int,
    mode: GenerationMode,
    headers: dict[str, str] | None = None,
    **fixed: Any,
) -> None:
    @settings(max_examples=times, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=OPERATIONS[label].as_strategy(mode, **fixed))
    def ask(case: Case[Any]) -> None:
        holds(server, case, headers)

    ask()


def test_the_description_is_sound() -> None:
    SCHEMA.validate()


def test_every_method_of_every_route_is_described_and_nothing_else() -> None:
    metrics = Metrics(CollectorRegistry(), "test")
    source = Source()
    pipeline = Pipeline(RecordingSpooler(), PipelineSettings(), metrics)
    around = WebSettings(static_folder=ROOT / "public")
    every = replace(services_of(None), persons=cast(Persons, object()))
    web = make_app(around, pipeline, source, metrics, source, clock.now, every)
    web.executor.shutdown()
    there = {(name, one) for name, methods in web.description.methods.items() for one in methods}
    assert {pair for pair in there if pair[1] != "HEAD"} == {(one.route, one.method.upper()) for one in ALL}


def test_the_server_tells_the_description(server: Server) -> None:
    status, body = server.get("/openapi.json")
    assert (status, json.loads(body)) == (200, DESCRIBED)


@pytest.mark.parametrize("label", OPERATIONS)
def test_a_route_answers_as_it_is_described(server: Server, label: str) -> None:
    ask_often(server, label, 2 if "password" in label else SOME, GenerationMode.POSITIVE)


def test_an_agreement_is_told_as_it_is_described(server: Server) -> None:
    vid = {"vid": "described"}
    assert server.post("/tr/v1/ppi/agree", vid | {"compliances": {"a": [1]}, "lat": 1, "lon": 2})[0] == 200
    ask_often(server, "GET /tr/v1/ppi/agree", 1, GenerationMode.POSITIVE, query=vid)


@pytest.mark.long
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fit", "unfit"])
@pytest.mark.parametrize("label", OPERATIONS)
def test_a_route_answers_as_it_is_described_whatever_it_is_asked(
    server: Server, label: str, mode: GenerationMode
) -> None:
    if mode is GenerationMode.POSITIVE or label.startswith("POST"):
        ask_often(server, label, FEW if "password" in label else MANY, mode)


@pytest.mark.long
@pytest.mark.parametrize("label", SECURED)
def test_a_route_answers_an_account_as_it_is_described(
    server: Server, account: dict[str, str], label: str
) -> None:
    one = SECURED[label]
    if one.example:
        status, answer = server.post(path_of(one), one.example, account)
    else:
        status, answer = server.get(path_of(one), account)
    assert status == 200, answer
    ask_often(server, label, SOME, GenerationMode.POSITIVE, account, path_parameters={"host": HOST})


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_works(server: Server, name: str) -> None:
    one = EXAMPLES[name]
    expected = 401 if one.security else 400 if one.is_old else 200
    status, answer = server.post(path_of(one), one.example)
    assert status == expected, answer


def path_of(one: Operation) -> str:
    path = "/" + one.path.replace("{v}", "v1")
    for parameter in one.parameters:
        path = path.replace(f"{{{parameter['name']}}}", str(parameter.get("example")))
    return path
