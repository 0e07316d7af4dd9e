"""Where credentials come from, and that nobody sees them."""

from pathlib import Path

import kfp.client
import pytest

from decant.runtime.secrets import without_secrets
from pipelines.kubeflow import authentication
from pipelines.kubeflow import cluster_options as options
from pipelines.kubeflow.authentication import AUTH_MODES, find_credentials
from pipelines.kubeflow.dex import DexSession
from tests.errors import raises
from tests.pipelines.conftest import SECRETS, Cli
from tests.pipelines.kfp_server import KfpServer, as_json

HOST = "https://kubeflow.example.org"
TOKEN = SECRETS[0]


@pytest.fixture(autouse=True)
def bare(far_from_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No credentials anywhere; the place of the service account's token."""
    file = tmp_path / "projected"
    monkeypatch.setattr(authentication, "SERVICE_ACCOUNT_FILE", str(file))
    return file


def test_the_same_places_as_kfp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert kfp.client.KF_PIPELINES_SA_TOKEN_ENV == authentication.SERVICE_ACCOUNT_VARIABLE
    assert kfp.client.KF_PIPELINES_SA_TOKEN_PATH == authentication.SERVICE_ACCOUNT_FILE
    assert str(options.NAMESPACE_FILE) == kfp.client.Client._NAMESPACE_PATH
    in_cluster = kfp.client.Client._IN_CLUSTER_DNS_NAME.format("kubeflow")
    assert f"http://{in_cluster}" == options.IN_CLUSTER_HOST


def test_what_auto_takes(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_credentials("auto", host=HOST).mode == "none"
    bare.write_text("token of the pod")
    assert find_credentials("auto", host=HOST).mode == "in-cluster"
    monkeypatch.setenv("DECANT_KFP_USERNAME", "user")
    assert find_credentials("auto", host=HOST).mode == "in-cluster"
    monkeypatch.setenv("DECANT_KFP_PASSWORD", SECRETS[1])
    assert isinstance(find_credentials("auto", host=HOST), DexSession)
    monkeypatch.setenv("DECANT_KFP_TOKEN", TOKEN)
    found = find_credentials("auto", host=HOST)
    assert found.mode == "token"
    assert found.headers(HOST) == {"Authorization": f"Bearer {TOKEN}"}
    assert find_credentials("none", host=HOST).headers(HOST) == {}
    assert set(AUTH_MODES) == {"auto", "none", "token", "in-cluster", "dex"}


def test_a_file_goes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECANT_KFP_TOKEN", TOKEN)
    file = tmp_path / "token"
    file.write_text("from-the-file\n")
    found = find_credentials("auto", host=HOST, token_file=file)
    assert found.headers(HOST) == {"Authorization": "Bearer from-the-file"}
    assert not found.renew()
    file.write_text("rotated")
    assert found.renew()
    assert found.headers(HOST) == {"Authorization": "Bearer rotated"}
    assert not found.renew()
    assert found.secrets() == {"from-the-file", "rotated"}


def test_a_service_account(bare: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = find_credentials("in-cluster", host=HOST)
    with raises("credentials-invalid", "projected: No such file") as raised:
        found.headers(HOST)
    assert "audience pipelines.kubeflow.org" in raised.value.hint
    other = tmp_path / "elsewhere"
    other.write_text(TOKEN)
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(other))
    found = find_credentials("in-cluster", host=HOST)
    assert found.headers(HOST) == {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "credentials-missing"),
        (b" \n", "credentials-missing"),
        (b"s3cret-token\nX-Admin: yes", "credentials-invalid"),
        (b"two words", "credentials-invalid"),
        ("s3cret-tök".encode(), "credentials-invalid"),
        (b"\xff\xfe", "credentials-invalid"),
    ],
    ids=["empty", "blank", "lines", "words", "accents", "bytes"],
)
def test_what_is_not_a_token(tmp_path: Path, content: bytes, code: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with raises(code, str(file)) as raised:
        find_credentials("token", host=HOST, token_file=file).headers(HOST)
    assert "s3cret" not in str(raised.value)


def test_secrets_are_cut_out_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECANT_KFP_TOKEN", TOKEN)
    found = find_credentials("token", host=HOST)
    found.headers(HOST)
    assert without_secrets(f"a {TOKEN}, b", found.secrets()) == "a ***, b"
    assert TOKEN not in repr(found)
    dex = DexSession(HOST, "user", SECRETS[1])
    text = f"{SECRETS[1]} pass%2Bword/with%20%C3%BCmlaut pass%2Bword%2Fwith+%C3%BCmlaut"
    assert without_secrets(text, dex.secrets()) == "*** *** ***"


def test_the_server_repeats_the_token(
    server: KfpServer, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cli` looks for the secrets in all that a command prints."""
    monkeypatch.setenv("DECANT_KFP_TOKEN", TOKEN)
    server.fail(".*", as_json({"message": f"bad Authorization: Bearer {TOKEN}"}, 400), times=9)
    assert "HTTP 400: bad Authorization: Bearer ***" in cli("list").message
    server.faults.clear()
    server.tokens = set()
    assert "refuses the token in DECANT_KFP_TOKEN (HTTP 401)" in cli("list").message
    server.fail(".*", as_json(f"RBAC: access denied for {TOKEN}", 403), times=9)
    ended = cli("list")
    assert "not allowed to do this (HTTP 403): RBAC: access denied for ***" in ended.message
    assert "role kubeflow-edit" in ended.message


def test_a_token_over_an_open_line_is_a_warning(
    server: KfpServer, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECANT_KFP_TOKEN", TOKEN)
    assert "without encryption" not in cli("list").err
    ended = cli("list", host="http://no.such.host.invalid")
    assert "goes to no.such.host.invalid without encryption" in ended.message
    ended = cli("list", host="https://no.such.host.invalid")
    assert "without encryption" not in ended.err
