"""Encryption, redirections, proxies, pages, and kfp's own client against the same server."""

import datetime
import ipaddress
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import kfp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from decant.runtime.identity import PROJECT
from pipelines.arguments import pipeline_arguments
from pipelines.kubeflow.api_errors import message_of, printable
from pipelines.kubeflow.authentication import NoCredentials
from pipelines.kubeflow.compiling import compile_pipeline
from pipelines.kubeflow.connection import Connection, every, named, open_connection
from pipelines.kubeflow.upload import find_experiment
from tests.errors import raises
from tests.pipelines.conftest import Cli
from tests.pipelines.kfp_api import Frame
from tests.pipelines.kfp_server import KfpServer, as_json, redirect, serving


@pytest.fixture
def connection(server: KfpServer) -> Connection:
    return open_connection(server.url, NoCredentials())


@pytest.fixture
def encrypted(far_from_home: Path, quick: None, tmp_path: Path) -> Iterator[tuple[KfpServer, Path]]:
    """A server with a certificate of its own for 127.0.0.1, and that certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    ca, both = tmp_path / "ca.pem", tmp_path / "both.pem"
    ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    both.write_bytes(ca.read_bytes() + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    with serving(KfpServer(), tls=context) as server:
        server.api.experiments.append(
            {"experiment_id": "e", "display_name": "decant", "namespace": ""}
        )
        yield server, ca


def test_an_authority_of_ones_own(
    encrypted: tuple[KfpServer, Path], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, ca = encrypted
    assert cli("list", "--ca", str(ca), host=server.url).code == 0
    ended = cli("list", host=server.url)
    assert ended.code == 2
    assert "no encrypted connection to 127.0.0.1" in ended.message
    assert "self-signed certificate" in ended.message
    assert "--ca FILE" in ended.message
    assert server.count("GET") == 4  # of the first command

    monkeypatch.setenv("DECANT_KFP_USERNAME", "user")
    monkeypatch.setenv("DECANT_KFP_PASSWORD", "password")
    ended = cli("list", host=server.url)
    assert ended.code == 2
    assert f"the certificate of {server.url} is not trusted" in ended.message


def test_encryption_is_wanted(server: KfpServer, cli: Cli) -> None:
    target = server.url.replace("http:", "https:")
    server.gate = lambda request: redirect(f"{target}{request.path}", 308)
    ended = cli("list")
    assert ended.code == 2
    assert f"requires encryption hint: --host {target}" in ended.message


def test_a_path_before_the_api(server: KfpServer, cli: Cli) -> None:
    """Kubeflow's gateway has the pipelines under /pipeline."""
    server.fail("GET /pipeline/apis/v2beta1/healthz", as_json(server.api.healthz()))
    empty = as_json({"experiments": [{"experiment_id": "e", "display_name": "decant"}]})
    server.fail("GET /pipeline/apis/v2beta1/experiments", empty)
    runs = {"runs": [{"run_id": "r", "state": "RUNNING"}]}
    server.fail("GET /pipeline/apis/v2beta1/runs", as_json(runs))
    ended = cli("list", "--runs", host=f"{server.url}/pipeline/")
    assert ended.out.rstrip().endswith(f"{server.url}/pipeline/#/runs/details/r")


def test_links_lead_to_the_ui(server: KfpServer, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KF_PIPELINES_UI_ENDPOINT", "https://ui.example/pipeline/")
    server.api.experiments.append({"experiment_id": "e", "display_name": "decant", "namespace": ""})
    server.api.create_run(
        {"display_name": "r", "experiment_id": "e", "pipeline_spec": {"root": {}}}
    )
    assert "https://ui.example/pipeline/#/runs/details/" in cli("list", "--runs").out


def test_the_web_server_says_it_in_its_own_words(server: KfpServer) -> None:
    facts = {"apiServerReady": True, "apiServerTagName": "2.5.0", "apiServerMultiUser": True}
    server.fail("healthz", as_json(facts))
    opened = open_connection(server.url, NoCredentials(), namespace="team-a")
    assert opened.server == {"tag_name": "2.5.0", "multi_user": True}
    assert opened.namespace == "team-a"
    server.fail("healthz", as_json({"apiServerReady": False}))
    with raises("cluster-unavailable", "API server"):
        open_connection(server.url, NoCredentials())


def test_a_proxy_is_used(server: KfpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server stands in for the proxy, which is asked for the whole address."""
    proxy = server.url.replace("//", "//me:word@")
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy)
    opened = open_connection("http://kubeflow.example", NoCredentials())
    assert opened.server["tag_name"] == "2.17.0"
    headers = server.requests[0].headers
    assert headers["host"] == "kubeflow.example"
    assert headers["proxy-authorization"] == "Basic bWU6d29yZA=="  # me:word in base 64


def test_all_pages(server: KfpServer, connection: Connection) -> None:
    server.api.experiments = [
        {"experiment_id": str(number), "display_name": f"e{number}", "namespace": ""}
        for number in range(230)
    ]
    listing = connection.experiments.experiment_service_list_experiments
    assert [one.experiment_id for one in every(listing, "experiments")] == [
        str(number) for number in range(230)
    ]
    assert server.count("GET .*/experiments") == 3
    assert [one.experiment_id for one in every(listing, "experiments", filter=named("e7"))] == ["7"]
    assert find_experiment(connection, "e229") == "229"
    assert find_experiment(connection, "e230") is None


def test_every_request_has_a_time_limit(
    server: KfpServer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.kubeflow.connection.TIMEOUTS_SECONDS", (2, 0.1))
    server.fail("POST", delay_seconds=0.5, is_only_slow=True)
    with raises("cluster-unavailable", "0.1 s"):
        connection.runs.run_service_terminate_run("r")
    assert server.count("POST") == 1


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b'{"code": 5, "message": "long story", "details": [{"message": "story"}]}', "story"),
        (b'{"error_message": "no\\nroom", "error_details": "stack"}', "no room"),
        (b'{"error": "unauthorized"}', "unauthorized"),
        (b'["a"]', '["a"]'),
        (b"RBAC: access denied\n", "RBAC: access denied"),
        (b"  <html>Bad Gateway</html>", ""),
        (b"\xff\x1b[2Jx", "\ufffdx"),
        (None, ""),
        ("y" * 500, "y" * 399 + "…"),
    ],
)
def test_what_an_answer_says(body: bytes | str | None, line: str) -> None:
    assert message_of(body) == line


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert printable("a\x1b[31mb\x1b[0m\r\n\tc\x07\x9b") == "ab\n\tc"


def test_the_official_client_understands_the_server(
    server: KfpServer, tmp_path: Path, far_from_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that what these tests show holds for more than our own client."""
    server.api.frames = (Frame(state="RUNNING"), Frame(state="SUCCEEDED"))
    package = tmp_path / "pipeline.yaml"
    compile_pipeline(package, pipeline_arguments(PROJECT / "params.yaml"))
    client = kfp.Client(host=server.url, namespace="")
    experiment = client.create_experiment("official")
    pipeline = client.upload_pipeline(str(package), pipeline_name="official")
    version = client.upload_pipeline_version(str(package), "second", pipeline_name="official")
    run = client.run_pipeline(
        experiment.experiment_id,
        "job",
        pipeline_id=pipeline.pipeline_id,
        version_id=version.pipeline_version_id,
    )
    done = client.wait_for_run_completion(run.run_id, timeout=10, sleep_duration=0)
    assert done.state == "SUCCEEDED"
    assert client.list_runs(page_size=1).total_size == 1
    assert client.get_pipeline_id("official") == pipeline.pipeline_id
    names = {
        one.display_name
        for one in client.list_pipeline_versions(pipeline.pipeline_id).pipeline_versions
    }
    assert names == {"official", "second"}
    schedule = client.create_recurring_run(
        experiment.experiment_id,
        "nightly",
        cron_expression="0 0 3 * * *",
        pipeline_id=pipeline.pipeline_id,
        version_id=version.pipeline_version_id,
    )
    client.disable_recurring_run(schedule.recurring_run_id)
    assert client.get_recurring_run(schedule.recurring_run_id).status == "DISABLED"
    client.delete_recurring_run(schedule.recurring_run_id)
    assert not client.list_recurring_runs().recurring_runs
    client.terminate_run(client.run_pipeline(experiment.experiment_id, "job", str(package)).run_id)
    capsys.readouterr()


def test_a_package_that_is_none_is_refused(server: KfpServer, tmp_path: Path) -> None:
    """The tests' server does look at what it is given."""
    import kfp_server_api

    client = kfp.Client(host=server.url, namespace="")
    file = tmp_path / "pipeline.yaml"
    for content in (
        "pipelineInfo: {name: x, colour: red}",
        "pipelineInfo: {name: x}\nroot: {dag: {tasks: {a: {componentRef: {name: none}}}}}",
        "pipelineInfo: {name: x}\n---\nplatforms: {kubernetes: {nonsense: {}}}",
    ):
        file.write_text(content)
        with pytest.raises(kfp_server_api.ApiException, match="Failed to read a pipeline spec"):
            client.upload_pipeline(str(file), pipeline_name="x")
    assert not server.api.pipelines


@pytest.mark.slow
def test_following_needs_no_heavy_libraries(server: KfpServer) -> None:
    """So that list, stop and follow answer at once."""
    code = (
        "import sys\nfrom pipelines.__main__ import entry\n"
        "try:\n    entry()\nfinally:\n"
        "    assert not {'torch', 'mlflow', 'transformers', 'kfp', 'pandas'} & set(sys.modules)\n"
    )
    server.api.experiments.append({"experiment_id": "e", "display_name": "decant", "namespace": ""})
    done = subprocess.run(
        [sys.executable, "-c", code, "list", "--host", server.url],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
