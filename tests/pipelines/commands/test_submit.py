"""decant submit, against a server that speaks KFP's protocol."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from decant.runtime.identity import PROJECT
from pipelines.arguments import pipeline_arguments
from pipelines.kubeflow.authentication import NoCredentials
from pipelines.kubeflow.cluster_options import IN_CLUSTER_HOST, clean_host
from pipelines.kubeflow.connection import open_connection
from pipelines.kubeflow.package import PackageOptions, make_package
from pipelines.kubeflow.upload import ensure_experiment, upload_package
from tests.errors import raises
from tests.pipelines.conftest import Cli
from tests.pipelines.kfp_api import Frame
from tests.pipelines.kfp_server import KfpServer, as_json, as_page

PARAMS = PROJECT / "params.yaml"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MLFLOW = ("--mlflow-uri", "http://mlflow.example:5000")


@pytest.fixture(autouse=True)
def at_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decant.runtime.git_repository.git_commit", lambda: COMMIT)


def tasks_of(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return dict(documents[0]["root"]["dag"]["tasks"])


def test_what_the_server_gets(server: KfpServer, cli: Cli) -> None:
    ended = cli("submit", "--set", "finetune.epochs=3", "--run-name", "mine", *MLFLOW)
    assert (ended.code, ended.err) == (0, "")
    api = server.api
    (pipeline,), (version,), (experiment,), (run,) = (
        api.pipelines,
        api.versions,
        api.experiments,
        api.runs,
    )
    assert pipeline["display_name"] == "decant-distillation"
    assert re.fullmatch(r"0123456789ab-[0-9a-f]{12}", version["name"])
    assert experiment["display_name"] == "decant"
    assert run["display_name"] == "mine"
    assert run["experiment_id"] == experiment["experiment_id"]
    assert run["pipeline_version_reference"] == {
        "pipeline_id": pipeline["pipeline_id"],
        "pipeline_version_id": version["pipeline_version_id"],
    }
    assert "service_account" not in run
    given = run["runtime_config"]["parameters"]
    assert given == pipeline_arguments(PARAMS, ["finetune.epochs=3"])
    assert json.loads(given["finetune_params"])["training"]["epochs"] == 3
    documents = api.packages[version["pipeline_version_id"]]
    cached = {name for name, task in tasks_of(documents).items() if task["cachingOptions"]}
    assert len(cached) == 7
    assert "register" not in cached
    executors = documents[0]["deploymentSpec"]["executors"].values()
    assert {executor["container"]["env"][0]["value"] for executor in executors} == {MLFLOW[1]}
    assert ended.out.splitlines() == [
        f"decant-distillation: version {version['name']} uploaded",
        f"run {run['run_id']}",
        f"{server.url}/#/runs/details/{run['run_id']}",
    ]


def test_the_same_again_uploads_nothing(server: KfpServer, cli: Cli) -> None:
    first, second = cli("submit", *MLFLOW), cli("submit", *MLFLOW)
    assert "uploaded" in first.out
    assert "is on the server already" in second.out
    assert server.count("POST .*upload_version") == 1
    assert len(server.api.runs) == 2
    cli("submit", "--set", "distill.temperature=7", *MLFLOW)
    cli("submit", "--image", "registry.example/steps:2", *MLFLOW)
    names = {version["name"] for version in server.api.versions}
    assert len(names) == 3
    assert len(server.api.pipelines) == len(server.api.experiments) == 1


def test_a_version_far_down_the_list_is_found(server: KfpServer, cli: Cli) -> None:
    """The server pages, and its search by name may forget the case."""
    cli("submit", *MLFLOW)
    (version,) = server.api.versions
    other = {**version, "pipeline_version_id": "", "display_name": version["name"].upper()}
    server.api.versions[:0] = [other] * 250
    server.api.forgets_case = True
    assert "is on the server already" in cli("submit", *MLFLOW).out
    assert len(server.api.versions) == 251


@pytest.mark.parametrize("kind", ["pipeline", "version", "experiment"])
def test_another_client_is_quicker(server: KfpServer, cli: Cli, kind: str) -> None:
    """It makes the same thing between our look and our attempt: HTTP 409."""
    api, seen = server.api, []

    def before(made: str, body: dict[str, Any]) -> None:
        if made != kind or seen:
            return
        seen.append(made)
        match kind:
            case "pipeline":
                api.create_pipeline(body)
            case "experiment":
                api.create_experiment(body)
            case "version":
                api._store_version(body["pipelineid"], body["name"], api_package)

    api_package = [{"root": {}}]
    if kind == "version":
        cli("submit", *MLFLOW)
        api_package = api.packages.popitem()[1]
        api.versions.clear()
    api.before_storing = before
    ended = cli("submit", *MLFLOW)
    assert ended.code == 0
    assert seen == [kind]
    assert len(api.pipelines) == len(api.versions) == len(api.experiments) == 1
    assert ("already" in ended.out) == (kind == "version")


def test_many_at_once(server: KfpServer, tmp_path: Path) -> None:
    options = PackageOptions(
        params=PARAMS, overrides=(), profile=None, image=None, mlflow_uri=MLFLOW[1]
    )
    package = make_package(options, tmp_path)

    def submit(_: int) -> tuple[str, str, str, bool]:
        connection = open_connection(server.url, NoCredentials())
        made = upload_package(connection, package)
        experiment = ensure_experiment(connection, "decant")
        return made.pipeline_id, made.version_id, experiment, made.is_new

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(submit, range(16)))
    assert len({result[:3] for result in results}) == 1
    assert sum(result[3] for result in results) == 1
    assert len(server.api.versions) == 1


def test_an_answer_to_an_upload_is_lost(server: KfpServer, cli: Cli) -> None:
    """The version is there all the same: it is found, not uploaded again."""
    server.fail("POST .*upload_version", after_doing=True)
    ended = cli("submit", *MLFLOW)
    assert ended.code == 0
    assert len(server.api.versions) == len(server.api.runs) == 1


def test_an_answer_to_a_new_run_is_lost(server: KfpServer, cli: Cli) -> None:
    """Nobody knows whether it started, so it is not started again."""
    server.fail("POST /apis/v2beta1/runs$", after_doing=True)
    ended = cli("submit", "--run-name", "mine", *MLFLOW)
    assert ended.code == 2
    assert "[cluster-unavailable]" in ended.message
    assert "look for 'mine'" in ended.message
    assert len(server.api.runs) == server.count("POST /apis/v2beta1/runs$") == 1


def test_without_the_cache(server: KfpServer, cli: Cli) -> None:
    cli("submit", *MLFLOW)
    cli("submit", "--no-cache", *MLFLOW)
    first, second = server.api.packages.values()
    assert any(task["cachingOptions"] for task in tasks_of(first).values())
    assert not any(task["cachingOptions"] for task in tasks_of(second).values())
    assert len({version["name"] for version in server.api.versions}) == 2


@pytest.mark.parametrize(
    ("commit", "pattern"),
    [
        (f"{COMMIT}-dirty", r"0123456789ab-dirty-[0-9a-f]{12}"),
        ("unknown", r"[0-9a-f]{12}"),
    ],
)
def test_the_name_of_a_version(
    server: KfpServer, cli: Cli, monkeypatch: pytest.MonkeyPatch, commit: str, pattern: str
) -> None:
    monkeypatch.setattr("decant.runtime.git_repository.git_commit", lambda: commit)
    assert cli("submit", *MLFLOW).code == 0
    assert re.fullmatch(pattern, server.api.versions[0]["name"])


def test_a_profile_says_how_the_run_goes(server: KfpServer, cli: Cli, tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text(
        "development: true\nservice_account: trainer\nsteps: {finetune: {gpu: {count: 2}}}\n"
    )
    assert cli("submit", "--profile", str(profile), *MLFLOW).code == 0
    (run,), (documents,) = server.api.runs, server.api.packages.values()
    assert run["service_account"] == "trainer"
    # The run's own parameters win over the package's, so they must have the GPU too.
    parameters = run["runtime_config"]["parameters"]
    assert json.loads(parameters["finetune_params"])["device"] == "cuda"
    assert json.loads(parameters["distill_params"])["device"] == "auto"
    executors = documents[0]["deploymentSpec"]["executors"]
    container = executors["exec-finetune"]["container"]
    assert container["resources"]["accelerator"]["resourceCount"] == "2"
    assert {"name": "DECANT_PROCESSES", "value": "2"} in container["env"]


def test_mistakes_are_found_before_anything_is_sent(server: KfpServer, cli: Cli) -> None:
    cases = {
        (
            "--set",
            "distill.nonsense=1",
        ): "error[parameter-unknown]: no parameter 'distill.nonsense'",
        ("--params", "missing.yaml"): "error[file-missing]: no parameter file at missing.yaml",
        ("--image", "steps:latest"): "error[image-not-fixed]",
        ("--mlflow-uri", "sqlite:///mlflow.db"): "error[tracking-local]",
        ("--mlflow-uri", "mlruns"): "error[tracking-local]",
        ("--mlflow-uri", "http://me:s3cret-token@mlflow"): "error[secret-exposed]: --mlflow-uri",
        ("--timeout-seconds", "5"): "error[option-conflict]",
        ("--wait", "--timeout-seconds", "0"): "not in the range",
        ("--auth", "token"): "error[credentials-missing]: --auth token",
        ("--auth", "dex"): "error[credentials-missing]: --auth dex",
        ("--token-file", "t", "--auth", "none"): "error[option-conflict]: --token-file",
        ("--ca", "missing.pem"): "error[certificate-invalid]: --ca missing.pem",
    }
    for arguments, problem in cases.items():
        ended = cli("submit", *arguments)
        assert ended.code == 2
        assert problem in ended.message
    assert not server.requests


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ("kubeflow.example.org", "error[option-value]: --host"),
        ("ftp://kubeflow.example.org", "error[option-value]: --host"),
        ("http://[::1", "error[option-value]: --host"),
        ("http://host:port", "error[option-value]: --host"),
        ("https://me:s3cret-token@kubeflow.example.org", "error[secret-exposed]: --host"),
        ("http://127.0.0.1:9", "no answer from 127.0.0.1:9: Connection refused"),
        ("http://no.such.host.invalid", "no answer from no.such.host.invalid"),
    ],
)
def test_a_wrong_address(cli: Cli, host: str, problem: str) -> None:
    ended = cli("submit", *MLFLOW, host=host)
    assert ended.code == 2
    assert problem in ended.message
    assert len(ended.err.splitlines()) <= 2


def test_no_address(cli: Cli, server: KfpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with raises("option-missing", "--host"):
        clean_host(None)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert clean_host(None) == IN_CLUSTER_HOST
    assert clean_host("https://k.example/pipeline/#/runs") == "https://k.example/pipeline"
    assert cli("list", "--all", host=f"{server.url}/#/experiments").code == 0


def test_a_server_shared_by_namespaces(server: KfpServer, cli: Cli) -> None:
    server.api.multi_user = True
    ended = cli("submit", *MLFLOW)
    assert ended.code == 2
    assert "is shared by namespaces hint: give --namespace NAME" in ended.message
    assert cli("submit", "--namespace", "team-a", *MLFLOW).code == 0
    assert server.api.pipelines[0]["namespace"] == "team-a"
    assert server.api.experiments[0]["namespace"] == "team-a"
    assert cli("submit", "--namespace", "team-b", *MLFLOW).code == 0
    assert len(server.api.pipelines) == len(server.api.experiments) == 2


def test_a_pod_knows_its_namespace(
    server: KfpServer, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.api.multi_user = True
    file = tmp_path / "namespace"
    file.write_text("team-c\n")
    monkeypatch.setattr("pipelines.kubeflow.cluster_options.NAMESPACE_FILE", file)
    assert cli("submit", *MLFLOW).code == 0
    assert server.api.experiments[0]["namespace"] == "team-c"


def test_a_namespace_on_a_server_for_one_user_is_left_out(server: KfpServer, cli: Cli) -> None:
    assert cli("submit", "--namespace", "team-a", *MLFLOW).code == 0
    assert server.api.experiments[0]["namespace"] == ""


def test_no_tracking_server_is_a_warning(server: KfpServer, cli: Cli) -> None:
    ended = cli("submit")
    assert ended.code == 0
    assert "warning: the package sets no MLflow server" in ended.err


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (401, "refuses no credentials (HTTP 401)"),
        (403, "not allowed to do this (HTTP 403)"),
        (500, "answered HTTP 500: the database is away"),
        (503, "answered HTTP 503: the database is away"),
    ],
)
@pytest.mark.parametrize("place", ["healthz", "upload_version", "POST /apis/v2beta1/runs$"])
def test_refusals(server: KfpServer, cli: Cli, place: str, status: int, problem: str) -> None:
    server.fail(place, as_json({"message": "the database is away"}, status), times=99)
    ended = cli("submit", *MLFLOW)
    assert ended.code == 2
    assert problem in ended.message
    assert len(ended.err.splitlines()) <= 2
    assert not server.api.runs


def test_what_the_server_says_is_one_clean_line(server: KfpServer, cli: Cli) -> None:
    server.fail(
        "POST .*experiments",
        as_json({"error_message": "no\n\x1b[31mroom\x1b[0m " + "x" * 900}, 400),
    )
    ended = cli("submit", *MLFLOW)
    assert ended.code == 2
    assert "HTTP 400: no room xxx" in ended.message
    assert len(ended.message) < 600
    assert "\x1b" not in ended.err


def test_a_short_trouble_is_sat_out(server: KfpServer, cli: Cli) -> None:
    server.fail("GET", as_page("<html>no upstream", 503), times=2)
    server.fail("POST .*upload_version", as_json({"message": "later"}, 503), times=2)
    server.fail("POST .*experiments", None, times=1)
    assert cli("submit", *MLFLOW).code == 0
    assert len(server.api.versions) == len(server.api.experiments) == len(server.api.runs) == 1


def test_a_page_instead_of_the_api(server: KfpServer, cli: Cli) -> None:
    server.fail("GET", as_page("<html>Kubeflow Central Dashboard"), times=9)
    ended = cli("submit", *MLFLOW)
    assert ended.code == 2
    assert "answers with a web page, such as a login" in ended.message
    server.faults.clear()
    server.fail("GET", as_json(["something", "else"]), times=9)
    assert "error[cluster-foreign]" in cli("submit", *MLFLOW).message


def test_waiting_for_the_end(server: KfpServer, cli: Cli) -> None:
    server.api.frames = (
        Frame(state="PENDING"),
        Frame(state="RUNNING", tasks={"ingest": "RUNNING"}),
        Frame(state="RUNNING", tasks={"ingest": "SUCCEEDED", "tokenize": "RUNNING"}),
        Frame(state="SUCCEEDED", tasks={"ingest": "SUCCEEDED", "tokenize": "SUCCEEDED"}),
    )
    ended = cli("submit", "--wait", *MLFLOW)
    assert (ended.code, ended.err) == (0, "")
    *changes, verdict = ended.out.splitlines()[3:]
    assert [change.split(" ", 1)[1] for change in changes] == [
        "run: PENDING",
        "ingest: RUNNING",
        "run: RUNNING",
        "ingest: SUCCEEDED after 0:01:03",
        "tokenize: RUNNING",
        "tokenize: SUCCEEDED after 0:01:03",
        "run: SUCCEEDED",
    ]
    assert verdict == "the run succeeded after 0:01:30"


@pytest.mark.slow
def test_as_a_program(server: KfpServer, far_from_home: Path) -> None:
    """A real process, with a terminal's interrupt while it waits."""
    server.api.frames = (Frame(state="RUNNING", tasks={"ingest": "RUNNING"}),)
    words = ["submit", "--host", server.url, *MLFLOW, "--wait", "--params", str(PARAMS)]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pipelines", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    assert process.stdout
    seen = []
    for line in process.stdout:
        seen.append(line)
        if "ingest: RUNNING" in line:
            break
    process.send_signal(2)
    out, err = process.communicate(timeout=180)
    (run,) = server.api.runs
    assert process.returncode == 130
    assert err == ""
    assert f"decant follow {run['run_id']}" in out
    assert f"decant stop {run['run_id']}" in out
    assert not server.count("terminate")
    assert "uploaded" in "".join(seen)
