"""Is the image pinned, and does a registry have it?"""

from urllib.parse import urlsplit

import pytest

from pipelines.preflight.image_check import (
    ImageName,
    check_image_is_pinned,
    check_image_is_there,
    read_image_name,
)
from tests.errors import raises
from tests.pipelines.kfp_server import Answer, KfpServer, Request, as_json

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("decant-steps:0.1.0", ("", "decant-steps", "0.1.0")),
        ("team/decant-steps", ("", "team/decant-steps", "latest")),
        ("localhost/steps:1", ("localhost", "steps", "1")),
        ("registry.example:5000/a/b:1", ("registry.example:5000", "a/b", "1")),
        (f"ghcr.io/a/b:1@{DIGEST}", ("ghcr.io", "a/b", DIGEST)),
    ],
)
def test_the_parts_of_a_name(image: str, parts: tuple[str, str, str]) -> None:
    registry, repository, reference = parts
    assert read_image_name(image) == ImageName(
        registry=registry, repository=repository, reference=reference
    )


@pytest.mark.parametrize("image", ["", ":1", "registry.example/", "steps@md5:1"])
def test_what_is_no_name(image: str) -> None:
    with raises("image-invalid", f"'{image}'"):
        read_image_name(image)


def test_pinned() -> None:
    assert check_image_is_pinned(f"ghcr.io/a/b@{DIGEST}").status == "ok"
    tagged = check_image_is_pinned("decant-steps:0.1.0")
    assert (tagged.status, tagged.detail) == (
        "warning",
        "decant-steps:0.1.0 has a tag, which can be moved",
    )
    with raises("image-not-fixed", "'decant-steps:latest'"):
        check_image_is_pinned("decant-steps:latest")


@pytest.fixture
def registry(server: KfpServer) -> str:
    """A registry that wants a token, and gives one to anybody who asks for it as it says."""

    def answer(request: Request) -> Answer:
        if request.path == "/token":
            assert request.query == {"service": "test", "scope": "repository:a/b:pull"}
            return as_json({"token": "anonymous"})
        if request.headers.get("authorization") != "Bearer anonymous":
            challenge = (
                f'Bearer realm="{server.url}/token",service="test",scope="repository:a/b:pull"'
            )
            return Answer(401, headers={"WWW-Authenticate": challenge})
        assert request.method == "HEAD"
        assert "application/vnd.oci.image.index.v1+json" in request.headers["accept"]
        if request.path == "/v2/a/b/manifests/1":
            return Answer(200, headers={"Docker-Content-Digest": DIGEST})
        return Answer(404)

    server.gate = answer
    return urlsplit(server.url).netloc


def test_a_registry_has_it(registry: str) -> None:
    found = check_image_is_there(f"{registry}/a/b:1")
    assert (found.status, found.detail) == ("ok", f"{registry}/a/b:1 {DIGEST}")


def test_a_registry_has_it_not(registry: str) -> None:
    missing = check_image_is_there(f"{registry}/a/b:2")
    assert missing.status == "failed"
    assert missing.detail == f"{registry} has no a/b 2"


@pytest.mark.parametrize("challenge", ["", 'Basic realm="x"', 'Bearer realm="file:///etc/passwd"'])
def test_a_registry_for_users_who_log_in(server: KfpServer, challenge: str) -> None:
    server.gate = lambda request: Answer(401, headers={"WWW-Authenticate": challenge})
    result = check_image_is_there(f"{urlsplit(server.url).netloc}/a/b:1")
    assert result.status == "skipped"
    assert "requires a login (HTTP 401)" in result.detail


def test_nobody_to_ask() -> None:
    assert "names no registry" in check_image_is_there("decant-steps:0.1.0").detail
    away = check_image_is_there("127.0.0.1:9/a/b:1")
    assert (away.status, away.detail) == (
        "skipped",
        "127.0.0.1:9 cannot be reached from here: ConnectionError",
    )
