"""Parent and child runs, links to reused runs, and what happens when MLflow is away."""

import dataclasses
import io
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from decant.runtime import identity
from decant.runtime.git_repository import git_commit
from decant.runtime.reporter import Reporter
from decant.tracking import mlflow_store as tracking_store
from decant.tracking.execution import execution_identity
from decant.tracking.mlflow_store import experiment_id, open_client, store_root, tracking_uri
from decant.tracking.tracked_step import Origin, tracked_step
from tests.errors import raises

STEP = "register"


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: float


@dataclasses.dataclass(frozen=True)
class Params:
    epochs: int
    inner: Inner


PARAMS = Params(epochs=2, inner=Inner(rate=0.5))


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in ("MLFLOW_RUN_ID", "KFP_RUN_ID", "DVC_EXP_NAME", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DECANT_TRACKING", "on")
    monkeypatch.setenv("DECANT_SPOOL", str(tmp_path / "spool"))
    return monkeypatch


@pytest.fixture
def client(tmp_path: Path, environment: pytest.MonkeyPatch, empty_mlflow: Path) -> Any:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    environment.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return open_client()


def quiet_reporter() -> Reporter:
    return Reporter(step=STEP, console=Console(file=io.StringIO(), width=200))


def logged(reporter: Reporter) -> str:
    assert isinstance(reporter.console.file, io.StringIO)
    return reporter.console.file.getvalue()


def run_one(key: str = "key", *origins: Origin, params: Any = PARAMS) -> str:
    """A whole step; returns its run id."""
    reporter = quiet_reporter()
    with tracked_step(STEP, key, params, origins, reporter) as run:
        pass
    assert logged(reporter) == ""
    return run.run_id


def parent_of(client: Any, run_id: str) -> Any:
    return client.get_run(client.get_run(run_id).data.tags["mlflow.parentRunId"])


def test_child_and_parent_hold_what_the_step_reports(client: Any, tmp_path: Path) -> None:
    reporter = quiet_reporter()
    with tracked_step("distill", "key", PARAMS, [], reporter) as run:
        reporter.point("loss [train]", 1, 0.75)
        reporter.point("loss [train]", 2, 0.5)
        live = client.get_metric_history(run.run_id, "loss _train_")
        assert [(point.step, point.value) for point in live] == [(1, 0.75), (2, 0.5)]
        assert client.get_run(run.run_id).info.status == "RUNNING"
        assert parent_of(client, run.run_id).info.status == "RUNNING"
        reporter.metric("accuracy", 0.8)
        folder = tmp_path / "student"
        folder.mkdir()
        (folder / "card.json").write_text("{}")
        (folder / "weights.bin").write_text("not logged")
        run.finish(reporter, 1.5, {"student": folder})
    assert reporter.run_id == run.run_id
    child, parent = client.get_run(run.run_id), parent_of(client, run.run_id)
    assert (child.info.status, parent.info.status) == ("FINISHED", "FINISHED")
    assert child.info.run_name == "distill"
    assert child.data.tags["decant.identity"] == "key"
    assert child.data.tags["mlflow.source.git.commit"] == git_commit()
    assert child.data.params == {"distill.epochs": "2", "distill.inner": '{"rate":0.5}'}
    assert child.data.metrics["accuracy"] == 0.8
    assert child.data.metrics["seconds"] == 1.5
    assert parent.data.metrics["distill/accuracy"] == 0.8
    assert parent.data.params == child.data.params
    files = client.list_artifacts(run.run_id, "student")
    assert [file.path for file in files] == ["student/card.json"]
    assert child.info.artifact_uri.startswith((tmp_path / "mlruns").as_uri())
    assert run.step_runs == {"distill": run.run_id}


def test_one_execution_has_one_parent(client: Any, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KFP_RUN_ID", "first")
    parents = {parent_of(client, run_one(key)).info.run_id for key in ("a", "b")}
    assert len(parents) == 1
    environment.setenv("KFP_RUN_ID", "second")
    second = parent_of(client, run_one("a"))
    assert second.info.run_id not in parents
    assert second.data.tags["decant.execution"] == "second"
    environment.delenv("KFP_RUN_ID")
    environment.setenv("DVC_EXP_NAME", "bold-idea")
    third = parent_of(client, run_one("a"))
    assert third.info.run_name == third.data.tags["decant.dvc_experiment"] == "bold-idea"


def test_a_given_parent_is_left_to_its_owner(client: Any, environment: pytest.MonkeyPatch) -> None:
    experiment = client.create_experiment("someone else's")
    given = client.create_run(experiment).info.run_id
    client.log_param(given, "epochs", "999")
    environment.setenv("MLFLOW_RUN_ID", given)
    child = client.get_run(run_one())
    assert child.data.tags["mlflow.parentRunId"] == given
    assert child.info.experiment_id == experiment
    assert client.get_run(given).info.status == "RUNNING"
    client.set_terminated(given)
    run_one()
    assert client.get_run(given).info.status == "FINISHED"


def test_changed_parameters_within_one_execution_are_reported(client: Any) -> None:
    run_one()
    other = run_one(params=Params(epochs=3, inner=Inner(rate=0.5)))
    parent = parent_of(client, other)
    assert parent.data.params["register.epochs"] == "2"
    assert parent.data.tags["decant.params.register"] == "changed within one execution"
    assert client.get_run(other).data.params["register.epochs"] == "3"


def test_failure_reaches_the_parent_until_the_step_succeeds(client: Any) -> None:
    reporter = quiet_reporter()
    with (
        pytest.raises(ZeroDivisionError),
        tracked_step("distill", "key", PARAMS, [], reporter) as run,
    ):
        raise ZeroDivisionError("no epochs")
    assert client.get_run(run.run_id).info.status == "FAILED"
    assert client.get_run(run.run_id).data.tags["decant.error"] == "ZeroDivisionError: no epochs"
    assert parent_of(client, run.run_id).info.status == "FAILED"
    assert parent_of(client, run_one()).info.status == "FAILED", "another step repairs nothing"
    with tracked_step("distill", "key", PARAMS, [], quiet_reporter()) as again:
        pass
    assert parent_of(client, again.run_id).info.status == "FINISHED"
    assert client.get_run(run.run_id).info.status == "FAILED"


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(143)])
def test_an_interrupted_step_is_killed(end: BaseException, client: Any) -> None:
    with (
        pytest.raises(type(end)),
        tracked_step(STEP, "key", PARAMS, [], quiet_reporter()) as run,
    ):
        raise end
    assert client.get_run(run.run_id).info.status == "KILLED"
    assert parent_of(client, run.run_id).info.status == "KILLED"


def test_the_parent_runs_while_a_parallel_step_does(client: Any) -> None:
    with tracked_step("distill", "key", PARAMS, [], quiet_reporter()):
        assert parent_of(client, run_one()).info.status == "RUNNING"


def test_reused_steps_are_linked(client: Any, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KFP_RUN_ID", "earlier")
    with tracked_step("ingest", "i", PARAMS, [], quiet_reporter()) as ingest:
        pass
    origin = Origin("ingest", "i", dict(ingest.step_runs))
    with tracked_step("tokenize", "t", PARAMS, [origin], quiet_reporter()) as tokenize:
        pass
    assert tokenize.step_runs == {"ingest": ingest.run_id, "tokenize": tokenize.run_id}
    assert "decant.reused.ingest" not in parent_of(client, tokenize.run_id).data.tags

    def reused(*origins: Origin) -> dict[str, str]:
        tags = parent_of(client, run_one("r", *origins)).data.tags
        prefix = "decant.reused."
        return {key.removeprefix(prefix): run for key, run in tags.items() if prefix in key}

    expected = {"ingest": ingest.run_id, "tokenize": tokenize.run_id}
    environment.setenv("KFP_RUN_ID", "with its sidecar")
    assert reused(Origin("tokenize", "t", dict(tokenize.step_runs))) == expected
    environment.setenv("KFP_RUN_ID", "restored by DVC")
    assert reused(Origin("tokenize", "t", {})) == expected
    environment.setenv("KFP_RUN_ID", "with a stale sidecar")
    stale = {"tokenize": ingest.run_id, "ingest": tokenize.run_id}
    assert reused(Origin("tokenize", "t", stale)) == expected
    environment.setenv("KFP_RUN_ID", "with a sidecar of another store")
    assert reused(Origin("tokenize", "t", {"tokenize": "f" * 32})) == expected
    environment.setenv("KFP_RUN_ID", "never tracked")
    assert reused(Origin("tokenize", "unknown", {})) == {}


def test_a_failed_run_made_no_artifact(client: Any, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KFP_RUN_ID", "earlier")
    with (
        pytest.raises(ValueError, match="broken"),
        tracked_step("tokenize", "t", PARAMS, [], quiet_reporter()),
    ):
        raise ValueError("broken")
    environment.setenv("KFP_RUN_ID", "later")
    child = run_one("r", Origin("tokenize", "t", {}))
    assert "decant.behind.tokenize" not in client.get_run(child).data.tags


def test_a_store_that_fails_midway_costs_one_warning(client: Any, tmp_path: Path) -> None:
    reporter = quiet_reporter()
    with tracked_step(STEP, "key", PARAMS, [], reporter) as run:
        (tmp_path / "mlflow.db").rename(tmp_path / "away")
        (tmp_path / "mlflow.db").write_text("no database")
        for epoch in range(3):
            reporter.point("loss", epoch, 0.5)
        run.finish(reporter, 1.0, {})
    assert logged(reporter).count("warning") == 1


def test_tracking_that_is_off_imports_no_mlflow() -> None:
    code = (
        "import sys\n"
        "from decant.runner.run_step import run_step\n"
        "from decant.runtime.reporter import Reporter\n"
        "from decant.tracking.tracked_step import Origin, tracked_step\n"
        "origin = Origin('ingest', 'key', {'ingest': 'run'})\n"
        "with tracked_step('register', 'key', None, [origin], Reporter(step='register')) as run:\n"
        "    assert run.step_runs == {'ingest': 'run'} and run.run_id == ''\n"
        "assert 'mlflow' not in sys.modules\n"
    )
    environment = {**os.environ, "DECANT_TRACKING": "off"}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=identity.PROJECT, env=environment)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Accepts a connection and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        held: list[socket.socket] = []

        def accept() -> None:
            try:
                while True:
                    held.append(server.accept()[0])
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://user:secret@127.0.0.1:{server.getsockname()[1]}"
        for connection in held:
            connection.close()


@pytest.mark.parametrize("kind", ["refused", "silent", "unknown host"])
def test_a_server_that_does_not_answer_costs_a_warning_soon(
    kind: str, silent_server: str, environment: pytest.MonkeyPatch
) -> None:
    uris = {
        "refused": "http://user:secret@127.0.0.1:9",
        "silent": silent_server,
        "unknown host": "https://user:secret@mlflow.invalid",
    }
    environment.setenv("MLFLOW_TRACKING_URI", uris[kind])
    environment.setattr(tracking_store, "REACHABLE_TIMEOUT_SECONDS", 0.5)
    reporter = quiet_reporter()
    clock = time.perf_counter()
    with tracked_step(STEP, "key", PARAMS, [], reporter) as run:
        reporter.point("loss", 1, 0.5)
    run.finish(reporter, 1.0, {})
    assert time.perf_counter() - clock < 5
    assert run.run_id == ""
    assert logged(reporter).count("warning") == 1
    assert "no answer from" in logged(reporter)
    assert "secret" not in logged(reporter)


def test_a_cluster_refuses_a_local_store(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    for uri in ("", "sqlite:///mlflow.db", "file:///mlruns", "mlruns"):
        environment.setenv("MLFLOW_TRACKING_URI", uri)
        with (
            raises("tracking-local", "MLFLOW_TRACKING_URI"),
            tracked_step(STEP, "key", PARAMS, [], quiet_reporter()),
        ):
            pass
    environment.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert tracking_uri() == "http://mlflow:5000"


def test_the_embedded_store_lies_in_the_projects_root(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri() == f"sqlite:///{identity.PROJECT / 'mlflow.db'}"
    roots = {
        "a/.dvc/tmp/exps/tmpxyz": "a",
        "b/.dvc/tmp/exps/tmpxyz/ml": "b/ml",
        "c/.dvc/tmp/exps/standalone/tmpxyz": "c",
        "d/.dvc/tmp/exps/standalone/tmpxyz/ml": "d/ml",
        "e/.dvc/checkout": "e/.dvc/checkout",
    }
    for copy, root in roots.items():
        (tmp_path / root).mkdir(parents=True)
        environment.setattr(identity, "PROJECT", tmp_path / copy)
        assert store_root() == tmp_path / root


def test_the_experiment_can_be_named(client: Any, environment: pytest.MonkeyPatch) -> None:
    found = experiment_id(client)
    assert experiment_id(client) == found
    environment.setenv("MLFLOW_EXPERIMENT_NAME", "other")
    assert client.get_experiment(experiment_id(client)).name == "other"


def test_a_folder_with_spaces_can_hold_the_store(
    environment: pytest.MonkeyPatch, tmp_path: Path, empty_mlflow: Path
) -> None:
    folder = tmp_path / "my project #1"
    folder.mkdir()
    shutil.copy(empty_mlflow, folder / "mlflow.db")
    environment.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    run_id = run_one()
    note = tmp_path / "note.txt"
    note.write_text("x")
    open_client().log_artifact(run_id, str(note))
    assert list((folder / "mlruns").rglob("note.txt"))


def test_an_execution_is_reported_apart(environment: pytest.MonkeyPatch) -> None:
    plain = execution_identity()
    assert plain == execution_identity()
    assert len(plain) == 32
    environment.setenv("DVC_EXP_NAME", "bold-idea")
    assert execution_identity() != plain


def test_every_dvc_process_is_an_execution(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two steps under one process called dvc agree; under another one they differ."""
    launcher = tmp_path / "dvc"
    step = "from decant.tracking.execution import execution_identity as e; print(e())"
    launcher.write_text(
        f"import subprocess, sys\nfor _ in range(2):\n"
        f"    subprocess.run(['sh', '-c', sys.executable + ' -c \"{step}\"; true'], check=True)\n"
    )
    found = [
        subprocess.run(
            [sys.executable, str(launcher)],
            check=True,
            capture_output=True,
            text=True,
            cwd=identity.PROJECT,
        ).stdout.split()
        for _ in range(2)
    ]
    assert found[0][0] == found[0][1]
    assert found[1][0] == found[1][1]
    assert found[0][0] != found[1][0]


@pytest.mark.slow
def test_dvc_names_its_experiments_and_copies_as_expected(tmp_path: Path) -> None:
    """register and the store rest on DVC_EXP_NAME and on where `--temp` puts its copy."""
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  show:\n    cmd: python show.py\n    params: [a]\n    outs: [out.txt]\n"
    )
    (tmp_path / "params.yaml").write_text("a: 1\n")
    (tmp_path / "show.py").write_text(
        "import os\nfrom pathlib import Path\n"
        "from decant.runtime import identity\n"
        "from decant.tracking import mlflow_store as tracking_store\n"
        "identity.PROJECT = Path.cwd()\n"
        "name, root = os.environ.get('DVC_EXP_NAME'), tracking_store.store_root()\n"
        "Path('out.txt').write_text(f'{name} {root} {Path.cwd().name}')\n"
    )
    settings = {"DVC_NO_ANALYTICS": "1", "PYTHONPATH": str(identity.PROJECT)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    author = {
        f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    environment = {**os.environ, **settings, **author, "PATH": path}
    for command in (
        "git init -q .",
        "dvc init -q",
        "git add -A",
        "git commit -q -m first",
        "dvc repro -q",
        "git add -A",
        "git commit -q -m second",
    ):
        subprocess.run(command.split(), check=True, cwd=tmp_path, env=environment)
    assert (tmp_path / "out.txt").read_text() == f"None {tmp_path} {tmp_path.name}"
    experiment = ["dvc", "exp", "run", "-q", "--temp", "-n", "bold-idea", "-S", "a=2"]
    subprocess.run(experiment, check=True, cwd=tmp_path, env=environment)
    apply = ["dvc", "exp", "apply", "-q", "bold-idea"]
    subprocess.run(apply, check=True, cwd=tmp_path, env=environment)
    name, root, copy = (tmp_path / "out.txt").read_text().split()
    assert (name, root) == ("bold-idea", str(tmp_path))
    assert copy != tmp_path.name
