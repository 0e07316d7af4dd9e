"""The login through Dex's forms."""

from pathlib import Path

import pytest

from pipelines.kubeflow.dex import DexSession, read_page
from tests.errors import raises
from tests.pipelines.conftest import SECRETS, Cli
from tests.pipelines.dex_server import DexGate
from tests.pipelines.kfp_api import Frame
from tests.pipelines.kfp_server import KfpServer, as_page, redirect

USER, PASSWORD = "user@example.org", SECRETS[1]
LOCAL = {"local": {USER: PASSWORD}}


@pytest.fixture(autouse=True)
def account(server: KfpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECANT_KFP_USERNAME", USER)
    monkeypatch.setenv("DECANT_KFP_PASSWORD", PASSWORD)
    server.api.experiments.append({"experiment_id": "e", "display_name": "decant", "namespace": ""})


def landing(server: KfpServer, gate: DexGate) -> None:
    """The dashboard behind the gate is a page; the API is the API."""

    def guarded(request):  # type: ignore[no-untyped-def]
        answer = gate(request)
        return as_page("<html>dashboard") if answer is None and request.path == "/" else answer

    server.gate = guarded


@pytest.mark.parametrize(
    "gate",
    [
        DexGate(LOCAL),
        DexGate({"ldap": {USER: PASSWORD}}),
        DexGate(LOCAL, asks_for_approval=True),
        DexGate(LOCAL, shows_sign_in=True),
        DexGate({"github": {}, "ldap": {}, **LOCAL}, asks_for_approval=True, shows_sign_in=True),
        DexGate({"local": {USER: "another"}, "ldap": {USER: PASSWORD}}),
        DexGate({"Corporate Directory": {USER: PASSWORD}}),
    ],
    ids=["local", "ldap", "approval", "sign-in page", "all", "second connector", "own name"],
)
def test_a_login(server: KfpServer, cli: Cli, gate: DexGate) -> None:
    landing(server, gate)
    ended = cli("list")
    assert (ended.code, ended.err) == (0, "")
    assert gate.logins == 1
    calls = [one for one in server.requests if one.path.startswith("/apis")]
    assert len(calls) == 4
    assert all("oauth2_proxy_kubeflow=session-cookie-1" in one.headers["cookie"] for one in calls)
    assert not any("authorization" in one.headers for one in calls)
    assert not any(PASSWORD in one.path or PASSWORD in str(one.query) for one in server.requests)


def test_a_wrong_password(server: KfpServer, cli: Cli) -> None:
    landing(server, DexGate({"local": {USER: "another"}, "ldap": {}}))
    ended = cli("list")
    assert ended.code == 2
    assert "Dex refuses the user or the password" in ended.message
    assert "DECANT_KFP_PASSWORD" in ended.message
    assert server.count("POST /dex/auth/local/login") == 1
    assert server.count("POST /dex/auth/ldap/login") == 1


def test_a_session_that_ends_while_waiting_is_opened_again(server: KfpServer, cli: Cli) -> None:
    gate = DexGate(LOCAL)
    landing(server, gate)
    server.api.frames = tuple([Frame(state="RUNNING")] * 4 + [Frame(state="SUCCEEDED")])
    run = server.api.create_run(
        {"display_name": "r", "experiment_id": "e", "pipeline_spec": {"root": {}}}
    )

    def end_the_session(times: int) -> None:
        if times == 2:
            gate.sessions.clear()

    server.api.on_request = end_the_session
    assert cli("follow", run["run_id"]).code == 0
    assert gate.logins == 2


def test_the_session_is_not_let_in(server: KfpServer, cli: Cli) -> None:
    gate = DexGate(LOCAL)
    landing(server, gate)
    server.tokens = set()
    ended = cli("list")
    assert ended.code == 2
    assert "refuses the user of DECANT_KFP_USERNAME (HTTP 401)" in ended.message
    assert gate.logins == 2  # once more, then never


def test_without_credentials_the_login_page_is_recognised(
    server: KfpServer, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DECANT_KFP_USERNAME")
    landing(server, DexGate(LOCAL))
    ended = cli("list")
    assert ended.code == 2
    assert "answers with a web page, such as a login" in ended.message
    assert "DECANT_KFP_USERNAME" in ended.message
    assert server.count("GET") == 1  # the redirection is not followed


def test_a_server_without_a_login(server: KfpServer, cli: Cli) -> None:
    ended = cli("list", "--auth", "dex")
    assert ended.code == 2
    assert "ended with HTTP 404" in ended.message
    server.gate = lambda request: as_page("<html>hello") if request.path == "/" else None
    ended = cli("list", "--auth", "dex")
    assert "shows no login form" in ended.message
    assert "--auth none" in ended.message


def test_a_login_without_end(server: KfpServer, cli: Cli) -> None:
    button = '<form action="/oauth2/start"></form>'
    server.gate = lambda request: as_page(button)
    assert "does not end" in cli("list").message
    server.gate = lambda request: redirect("/again")
    assert "login at" in cli("list").message


def test_a_dead_server() -> None:
    with raises("cluster-unavailable", "http://127.0.0.1:9", "ConnectionError"):
        DexSession("http://127.0.0.1:9", USER, PASSWORD).headers("http://127.0.0.1:9/apis")


def test_a_password_stays_encrypted(server: KfpServer) -> None:
    """A form behind an encrypted page that leads to a server without encryption gets nothing."""
    session = DexSession("https://kubeflow.example.org", USER, PASSWORD)
    page = read_page('<form method="post" action="http://evil.example/"><input type="password">')
    answer = type("Answer", (), {"url": "https://kubeflow.example.org/dex"})()
    with raises("cluster-access-denied", "https://kubeflow.example.org", "--auth token"):
        session._submit(None, answer, page.forms[0], {})  # type: ignore[arg-type]


def test_cookies_go_to_their_server_alone(server: KfpServer, tmp_path: Path) -> None:
    landing(server, DexGate(LOCAL))
    session = DexSession(server.url, USER, PASSWORD)
    assert "session-cookie-1" in session.headers(f"{server.url}/apis/v2beta1/runs")["Cookie"]
    assert session.headers("http://elsewhere.example/apis") == {}
    assert PASSWORD not in repr(session)
    assert {PASSWORD, "session-cookie-1"} <= session.secrets()
