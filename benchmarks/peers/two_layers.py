"""The first two layers of the run's encoder, with finetune's own step and parameters."""

import json
import shutil
import tempfile
from pathlib import Path

from safetensors.torch import load_file, save_file

from benchmarks.peers.peer import Run
from components.export_onnx.graph import export_graph
from components.finetune import step as finetune
from components.finetune.contract import Inputs, Outputs, Params
from decant.inference.model_files import GRAPH
from decant.models.teacher import WEIGHTS, load_teacher
from decant.runner.run_step import seed_everything
from decant.runtime.reporter import Reporter
from decant.runtime.settings import parse

LAYERS = 2
_OPSET = 20


def export_two_layers(run: Run, folder: Path) -> None:
    """Write its float32 graph into the folder, as export_onnx makes one."""
    params = parse(Params, run.finetune, "finetune")
    with tempfile.TemporaryDirectory(prefix="decant-peers-") as scratch:
        encoder, teacher = Path(scratch) / "encoder", Path(scratch) / "teacher"
        _cut(run.folder / "encoder", encoder)
        seed_everything(run.seed)
        finetune.run(
            params,
            Inputs(tokens=run.folder / "tokens", encoder=encoder),
            Outputs(teacher=teacher),
            Reporter(step="finetune"),
        )
        model = load_teacher(teacher)
        export_graph(model, folder / GRAPH, pad_id=model.config.pad_id, opset=_OPSET)


def _cut(encoder: Path, target: Path) -> None:
    """The encoder's folder with fewer layers; transformers would leave the others aside too."""
    shutil.copytree(encoder, target)
    config = json.loads((target / "config.json").read_text("utf-8"))
    (target / "config.json").write_text(json.dumps(config | {"num_hidden_layers": LAYERS}), "utf-8")
    weights = load_file(target / WEIGHTS)
    dropped = [f"layer.{number}." for number in range(LAYERS, config["num_hidden_layers"])]
    kept = {
        name: tensor
        for name, tensor in weights.items()
        if not any(f".{part}" in f".{name}" for part in dropped)
    }
    save_file(kept, target / WEIGHTS, metadata={"format": "pt"})
