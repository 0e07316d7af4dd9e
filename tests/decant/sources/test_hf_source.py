"""hf:// sources, with the hub's own client against a small hub on loopback."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from decant import sources
from tests.errors import raises

NO_HUB = "http://127.0.0.1:9"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b"{}",
    "model.safetensors": b"weights",
    "tokenizer.json": b"{}",
    "added_tokens.json": b'{"<user>": 1}',
    "sentencepiece.bpe.model": b"pieces",
    "pytorch_model.bin": b"pickle",
    "modeling_custom.py": b"raise SystemExit",
    "onnx/model.safetensors": b"other",
}
REPOSITORIES = {
    "org/name": FILES,
    "org/pickled": {"config.json": b"{}", "pytorch_model.bin": b"", "training_args.bin": b""},
}
WHAT_COMES = [
    f"commit:{COMMIT}",
    "name",
    "added_tokens.json",
    "config.json",
    "model.safetensors",
    "sentencepiece.bpe.model",
    "tokenizer.json",
]


class Hub(http.server.BaseHTTPRequestHandler):
    """The calls that a snapshot takes."""

    def do_HEAD(self) -> None:
        self._answer(send_body=False)

    def do_GET(self) -> None:
        self._answer(send_body=True)

    def _answer(self, *, send_body: bool) -> None:
        path = self.path.partition("?")[0]
        for name, files in REPOSITORIES.items():
            if self._answer_for(name, files, path, send_body=send_body):
                return
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer_for(
        self, name: str, files: dict[str, bytes], path: str, *, send_body: bool
    ) -> bool:
        if path == f"/api/models/{name}/tree/{COMMIT}":
            tree = [
                {"type": "file", "path": file, "oid": "0" * 40, "size": len(content)}
                for file, content in files.items()
            ]
            self._send(json.dumps(tree).encode(), {"Content-Type": "application/json"}, send_body)
        elif path.startswith(f"/api/models/{name}"):
            siblings = [{"rfilename": file} for file in files]
            body = json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode()
            self._send(body, {"Content-Type": "application/json"}, send_body)
        elif (file := path.removeprefix(f"/{name}/resolve/{COMMIT}/")) in files:
            etag = hashlib.sha256(files[file]).hexdigest()
            self._send(files[file], {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, send_body)
        else:
            return False
        return True

    def _send(self, body: bytes, headers: dict[str, str], send_body: bool) -> None:
        self.send_response(200)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if send_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def hub() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def resolve(uri: str, hub: str, home: Path, **variables: str) -> list[str]:
    """Pin, folder name and files, from a process whose hub is the one given."""
    code = (
        "import sys; from decant import sources\n"
        "from decant.runtime.errors import UserError\n"
        "try:\n"
        "    folder = sources.fetch(sys.argv[1])\n"
        "    files = sorted(str(f.relative_to(folder)) for f in folder.rglob('*') if f.is_file())\n"
        "    print(sources.pin(sys.argv[1]), folder.name, *files)\n"
        "except UserError as error: print('refused:', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, uri],
        env={
            **os.environ,
            "HF_ENDPOINT": hub,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            **variables,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize("revision", ["", "@main", f"@{COMMIT}"])
def test_only_what_an_encoder_needs_comes(revision: str, hub: str, tmp_path: Path) -> None:
    uri = f"hf://org/name{revision}"
    assert resolve(uri, hub, tmp_path / "hf") == WHAT_COMES
    assert resolve(uri, NO_HUB, tmp_path / "hf") == WHAT_COMES  # from the cache


@pytest.mark.slow
@pytest.mark.parametrize(
    ("revision", "offline"),
    [
        ("", {}),
        ("", {"HF_HUB_OFFLINE": "1"}),
        ("@main", {"HF_HUB_OFFLINE": "1"}),
        (f"@{COMMIT}", {}),
    ],
)
def test_without_the_hub_its_own_cache_answers(
    revision: str, offline: dict[str, str], hub: str, tmp_path: Path
) -> None:
    """The hub's cache, as other programs fill it; Decant's is empty."""
    home = tmp_path / "hf"
    snapshot = home / "hub" / "models--org--name" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for name in WHAT_COMES[2:]:
        (snapshot / name).write_bytes(FILES[name])
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text(COMMIT)
    assert resolve(f"hf://org/name{revision}", NO_HUB, home, **offline) == WHAT_COMES


@pytest.mark.slow
def test_a_partial_cache_of_the_hub_is_not_kept(hub: str, tmp_path: Path) -> None:
    """Another program fetched a file only; later all of them come."""
    home = tmp_path / "hf"
    snapshot = home / "hub" / "models--org--name" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_bytes(FILES["config.json"])
    uri, offline = f"hf://org/name@{COMMIT}", {"HF_HUB_OFFLINE": "1"}
    assert resolve(uri, NO_HUB, home, **offline) == [f"commit:{COMMIT}", "name", "config.json"]
    for name in WHAT_COMES[2:]:
        (snapshot / name).write_bytes(FILES[name])
    (snapshot / "pytorch_model.bin").write_bytes(b"pickle")
    assert resolve(uri, NO_HUB, home, **offline) == WHAT_COMES
    (snapshot / "tokenizer.json").unlink()
    assert resolve(uri, hub, home) == WHAT_COMES
    assert resolve(uri, NO_HUB, home, **offline) == WHAT_COMES


@pytest.mark.slow
def test_a_repository_without_safetensors_is_named_with_its_weights(
    hub: str, tmp_path: Path
) -> None:
    refused = " ".join(resolve("hf://org/pickled", hub, tmp_path / "hf"))
    assert refused.startswith("refused: hf://org/pickled has no safetensors weights")
    assert "only pytorch_model.bin" in refused and "training_args" not in refused


@pytest.mark.slow
@pytest.mark.parametrize(
    ("offline", "cause"), [({}, "ConnectError"), ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set")]
)
def test_what_is_not_in_the_hubs_cache_either(
    offline: dict[str, str], cause: str, tmp_path: Path
) -> None:
    refused = " ".join(resolve("hf://org/name@main", NO_HUB, tmp_path / "hf", **offline))
    assert refused.startswith("refused: hf://org/name@main is not in the hub's cache")
    assert cause in refused


@pytest.mark.slow
def test_model_that_is_not_there(hub: str, tmp_path: Path) -> None:
    assert resolve("hf://org/none", hub, tmp_path / "hf")[:2] == ["refused:", "hf://org/none"]


def test_commit_is_its_own_pin(cache: Path) -> None:
    assert sources.pin(f"hf://org/name@{COMMIT}") == f"commit:{COMMIT}"
    assert not cache.exists()


def test_uri_that_is_no_model() -> None:
    with raises("uri-invalid", "'hf://org/name/file.json'"):
        sources.pin("hf://org/name/file.json")


@pytest.mark.slow
def test_a_file_damaged_in_the_hubs_cache_is_fetched_again(
    hub: str, tmp_path: Path, cache: Path
) -> None:
    """Decant's own copy may be a hard link to it: both are damaged at once."""
    uri = f"hf://org/name@{COMMIT}"
    assert resolve(uri, hub, tmp_path / "hf") == WHAT_COMES
    blob = hashlib.sha256(FILES["model.safetensors"]).hexdigest()
    (file,) = (tmp_path / "hf").rglob(blob)
    file.chmod(0o644)
    file.write_bytes(b"wei")
    refused = resolve(uri, NO_HUB, tmp_path / "hf", HF_HUB_OFFLINE="1")
    assert refused[0] == "refused:" and {"model.safetensors", "damaged"} <= {*refused}
    assert resolve(uri, hub, tmp_path / "hf") == WHAT_COMES
    (weights,) = cache.rglob("model.safetensors")
    assert weights.read_bytes() == FILES["model.safetensors"] == file.read_bytes()
