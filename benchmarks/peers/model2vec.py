"""Model2Vec, distilled from the run's encoder as the study's control is."""

import json
from pathlib import Path

import numpy as np

from benchmarks.peers.peer import Answer, Run

_LINEAR, _LABELS = "linear.npz", "labels.json"


class Model2VecLinear:
    """The library's embeddings of a text, and logistic regression on them."""

    def prepare(self, run: Run, folder: Path) -> None:
        from benchmarks.study.model2vec_control import fit_model2vec
        from benchmarks.study.study_plan import STUDY_FILE, read_study

        settings = read_study(STUDY_FILE).model2vec
        assert settings is not None  # of the project's own study
        static = fit_model2vec(
            run.folder / "corpus",
            run.folder / "encoder",
            run.task,
            settings=settings,
            c_grid=run.c_grid,
            seed=run.seed,
            cache=folder.parent / "distilled",
        )
        static.model.save_pretrained(folder)
        np.savez(folder / _LINEAR, weights=static.weights, bias=static.bias)
        (folder / _LABELS).write_text(json.dumps(run.labels), "utf-8")

    def open(self, folder: Path, threads: int) -> Answer:
        from model2vec import StaticModel

        model = StaticModel.from_pretrained(folder, force_download=False)
        linear = np.load(folder / _LINEAR, allow_pickle=False)
        weights, bias = linear["weights"], linear["bias"]
        labels = json.loads((folder / _LABELS).read_text("utf-8"))

        def answer(texts: list[str]) -> list[str]:
            logits = model.encode(texts, use_multiprocessing=False) @ weights + bias
            return [labels[best] for best in logits.argmax(axis=1)]

        return answer
