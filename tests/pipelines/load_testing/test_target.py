"""Only this machine is burdened, unless a person says otherwise."""

import pytest

from components.shared.errors import UserError
from pipelines.load_testing.target import find_target


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/invocations"),
        ("http://127.9.9.9:8080/", "http://127.9.9.9:8080/invocations"),
        ("http://[::1]:8080", "http://[::1]:8080/invocations"),
        ("http://localhost/invocations", "http://localhost/invocations"),
        ("https://127.0.0.1/a/model/", "https://127.0.0.1/a/model/invocations"),
    ],
)
def test_this_machine(server: str, url: str) -> None:
    target = find_target(server, allow_remote=False)
    assert (target.url, target.is_local) == (url, True)
    assert find_target(server, allow_remote=True) == target


@pytest.mark.parametrize("host", ["192.0.2.1", "10.0.0.1", "0.0.0.0", "[2001:db8::1]"])
def test_another_machine_is_refused_unless_allowed(host: str) -> None:
    with pytest.raises(UserError, match="is not this machine") as refused:
        find_target(f"http://{host}:8080", allow_remote=False)
    assert "--allow-remote" in refused.value.remedy
    target = find_target(f"http://{host}:8080", allow_remote=True)
    assert (target.url, target.is_local) == (f"http://{host}:8080/invocations", False)


def test_a_host_with_one_foreign_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(2, 1, 6, "", ("127.0.0.1", 80)), (2, 1, 6, "", ("192.0.2.1", 80))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: both)
    with pytest.raises(UserError, match=r"host \(127.0.0.1, 192.0.2.1\) is not this machine"):
        find_target("http://host", allow_remote=False)


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ("127.0.0.1:8080", "is no server's URL"),
        ("ftp://127.0.0.1", "is no server's URL"),
        ("http://", "is no server's URL"),
        ("http://127.0.0.1:99999", "is no URL"),
        ("http://127.0.0.1?a=b", "is no server's URL"),
        ("http://nothing.invalid", "is not known"),
    ],
)
def test_what_is_no_address_is_said(server: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        find_target(server, allow_remote=False)


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(UserError, match="user name or password") as refused:
        find_target("http://someone:s3cret@127.0.0.1", allow_remote=False)
    assert "s3cret" not in str(refused.value)
