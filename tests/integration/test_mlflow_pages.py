"""What a person sees in MLflow's own pages after a run, in a real browser.

The pictures of the pages stay in pytest's temporary folder, under `pages`.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from decant.runtime.identity import PROJECT

pytestmark = pytest.mark.slow
PATIENCE_MS = 120_000  # the pages load megabytes of JavaScript; a busy machine takes its time
CURVES = ("teacher_train_loss", "teacher_validation_accuracy", "teacher_validation_loss")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An empty page of a headless Chromium."""
    found = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    browser_file = next(filter(None, found), None)
    if not browser_file:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_file)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def store(page: Any, tmp_path_factory: pytest.TempPathFactory, tiny_params: dict[str, Any]) -> Path:
    """The embedded store after one run of the whole DAG. Without a browser there is none."""
    folder = tmp_path_factory.mktemp("store")
    YAML().dump(tiny_params, folder / "params.yaml")
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DECANT_CACHE": str(folder / "cache"),
        "DECANT_TRACKING": "on",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "run", "--output", str(folder / "out")],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return folder / "mlflow.db"


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[str]:
    """The address of `mlflow server` on that store."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{store}"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (store.parent / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=store.parent, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait_for(f"{address}/health", process)
            yield address
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def version(store: Path) -> Any:
    from mlflow.tracking import MlflowClient

    (found,) = MlflowClient(f"sqlite:///{store}").search_model_versions("name = 'decant-student'")
    return found


def test_the_learning_curves_are_charts_with_a_point_per_epoch(
    page: Any, server: str, store: Path, version: Any, tiny_params: dict[str, Any]
) -> None:
    run = version.tags["decant.run.finetune"]
    page.goto(f"{server}/#/experiments/{_experiment(store, run)}/runs/{run}/model-metrics")
    for curve in CURVES:
        page.get_by_text(f"finetune ({curve})").first.wait_for()
    lines = page.locator(".js-plotly-plot:has(.scatterlayer .point)")
    lines.nth(len(CURVES) - 1).wait_for()
    _keep_picture(page, store, "learning_curves")
    epochs = tiny_params["finetune"]["training"]["epochs"]
    points = [plot.locator(".scatterlayer .point").count() for plot in lines.all()]
    assert points == [epochs] * len(CURVES)


def test_the_confusion_matrix_is_shown(page: Any, server: str, store: Path, version: Any) -> None:
    run = version.tags["decant.run.evaluate"]
    address = f"{server}/#/experiments/{_experiment(store, run)}/runs/{run}/artifacts"
    page.goto(f"{address}/report/confusion.png")
    page.wait_for_function(
        "[...document.images].some(image => image.src.startsWith('blob:') && image.naturalWidth)"
    )
    _keep_picture(page, store, "confusion_matrix")
    shown = page.evaluate(
        "[...document.images].filter(image => image.src.startsWith('blob:'))"
        ".map(image => [image.naturalWidth, image.naturalHeight])"
    )
    from matplotlib.image import imread

    height, width, *_ = imread(store.parent / "out" / "reports" / "confusion.png").shape
    assert shown and all(size == [width, height] for size in shown)


def test_the_card_is_the_versions_text(page: Any, server: str, store: Path, version: Any) -> None:
    page.goto(f"{server}/#/models/decant-student/versions/{version.version}")
    page.get_by_role("heading", name="Intended use").wait_for()
    _keep_picture(page, store, "model_version")
    cells = page.get_by_role("row").filter(has_text="this model").first.inner_text()
    row = next(line for line in version.description.splitlines() if "| this model |" in line)
    assert cells.split() == row.replace("|", " ").split()
    for heading in ("Figures on the test split", "Data", "Limits", "Lineage"):
        assert page.get_by_role("heading", name=heading, exact=True).count() == 1


def _experiment(store: Path, run: str) -> str:
    from mlflow.tracking import MlflowClient

    return str(MlflowClient(f"sqlite:///{store}").get_run(run).info.experiment_id)


def _keep_picture(page: Any, store: Path, name: str) -> None:
    folder = store.parent / "pages"
    folder.mkdir(exist_ok=True)
    page.screenshot(path=folder / f"{name}.png")


def _wait_for(address: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise AssertionError(f"{address} did not answer")
