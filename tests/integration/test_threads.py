"""Another number of threads is another identity: two checkouts with one cache and one store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import load_file

from decant.runner.run_step import run_step
from decant.runtime.artifacts import read_card
from decant.runtime.identity import SIDECAR
from decant.runtime.params_file import section_of
from decant.runtime.steps import load_step
from tests.spooling import Store

pytestmark = pytest.mark.slow


def run(step: str, params: dict[str, Any], root: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    declared = load_step(step)
    ports = {port: root / port for port in (*declared.input_ports, *declared.output_ports)}
    run_step(step, section_of(params, step, declared.params), ports)


@pytest.fixture(autouse=True)
def same_threads_afterwards() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_two_checkouts_never_mix(
    tmp_path: Path,
    tiny_params: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    mlflow_store: Store,
) -> None:
    params: dict[str, Any] = json.loads(json.dumps(tiny_params))
    params["finetune"]["training"]["epochs"] = 2
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    one, two = tmp_path / "one", tmp_path / "two"
    for root, threads in ((one, 1), (two, 2)):
        for step in ("ingest", "tokenize", "finetune"):
            run(step, params, root, threads)

    cards = [[read_card(root / port) for root in (one, two)] for port in ("tokens", "teacher")]
    tokens, teachers = cards
    assert tokens[0] == tokens[1], "nothing is computed there that threads could change"
    assert [card.threads for card in teachers] == [{"torch": 1}, {"torch": 2}]
    assert teachers[0].identity != teachers[1].identity
    weights = [load_file(root / "teacher" / "model.safetensors") for root in (one, two)]
    assert any((weights[0][name] != weights[1][name]).any() for name in weights[0])

    # Runs are found by identity where DVC's cache has kept no sidecar.
    for root, threads in ((one, 1), (two, 2)):
        (root / "teacher" / SIDECAR).unlink()
        run("transfer_weights", params, root, threads)
    made = {r.info.run_id: r.data.tags for r in mlflow_store.children()}
    for root, threads in ((one, 1), (two, 2)):
        sidecar = json.loads((root / "initial_student" / SIDECAR).read_text("utf-8"))
        behind = made[sidecar["step_runs"]["finetune"]]
        assert behind["decant.identity"] == read_card(root / "teacher").identity
        assert behind["decant.threads"] == f"torch={threads}"
