"""Which rows every model gets right, from the exported graphs; measured once per graph."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.study.controls import Control
from benchmarks.study.finished_runs import Store
from benchmarks.study.results import COSTS, ROLES, Result
from benchmarks.study.study_plan import Run
from benchmarks.study.tasks import Task, Work
from benchmarks.study.work_queue import is_done
from components.evaluate.labelled_rows import read_labelled
from components.evaluate.tested_models import class_indices
from decant.data.corpus import read_schema, read_split
from decant.inference.classifier import OnnxClassifier
from decant.inference.model_files import MANIFEST
from decant.runtime.artifacts import read_json
from decant.runtime.cache_folder import is_intact, write_once
from decant.runtime.errors import UserError
from decant.runtime.identity import canonical_json, lock_digest, text_digest
from decant.runtime.reporter import Reporter

Correct = NDArray[np.bool_]
_ALL_CORES = 0


class Rows:
    """Texts and class indices of the splits on which a data set's models are compared."""

    def __init__(self, corpus: Path) -> None:
        task = read_schema(corpus).task
        self.labels = task.outputs
        test = read_labelled(corpus, "test", task).frame
        validation = read_split(corpus, "validation")
        self.texts = {"validation": validation["text"].tolist(), "test": test["text"].tolist()}
        self.actual = {
            "validation": class_indices(validation["label"], self.labels),
            "test": class_indices(test["label"], self.labels),
        }
        answers = {split: indices.tolist() for split, indices in self.actual.items()}
        self.digest = text_digest(canonical_json([self.labels, self.texts, answers]))

    def correct(self, predict: Callable[[list[str]], NDArray[np.int64]]) -> dict[str, Correct]:
        return {split: predict(texts) == self.actual[split] for split, texts in self.texts.items()}


def measure_runs(
    work: Work,
    store: Store,
    rows: dict[str, Rows],
    *,
    batch_size: int,
    cache: Path,
    reporter: Reporter,
) -> tuple[list[Result], dict[Run, str]]:
    """Every known role of every finished run, and the message of each run that cannot be compared.

    Args:
        rows: per data set those of its default; a run with other rows cannot be compared with it.
        cache: folder for the measured figures.
    """
    finished = [run for run, chain in work.chains.items() if is_done(store, chain["export_onnx"])]
    results: list[Result] = []
    problems: dict[Run, str] = {}
    digests: dict[Path, str] = {}  # of the corpora's rows
    with reporter.progress("accuracy", len(finished), unit="runs") as advance:
        for run in finished:
            chain = work.chains[run]
            try:
                corpus = store.path(chain["ingest"], "corpus")
                if corpus not in digests:
                    digests[corpus] = Rows(corpus).digest
                if digests[corpus] != rows[run.data].digest:
                    raise UserError(
                        "its validation or test rows differ from the default's",
                        code="rows-mismatch",
                        hint="change neither splits nor labels in a variant",
                    )
                results += _results(run, chain, store, rows[run.data], batch_size, cache)
            except UserError as error:
                problems[run] = str(error)
            advance(1)
    return results, problems


def control_result(data: str, control: Control, rows: Rows) -> Result:
    correct = rows.correct(control.predict)
    return Result(
        data=data,
        variant="",
        seed=None,
        model=control.name,
        validation=correct["validation"],
        test=correct["test"],
        architecture=control.architecture,
        parameters=control.parameters,
        size_bytes=control.size_bytes,
    )


def graph_key(folder: Path) -> str:
    """Digest of an exported folder's files, as its manifest has them."""
    return text_digest(canonical_json(read_json(folder / MANIFEST)["files"]))


def _results(
    run: Run, chain: Mapping[str, Task], store: Store, rows: Rows, batch_size: int, cache: Path
) -> list[Result]:
    onnx = store.path(chain["export_onnx"], "onnx")
    costs = _costs(chain, store)
    results = []
    for role in ROLES:
        folder = onnx / role
        if not (folder / MANIFEST).is_file():
            continue
        manifest = read_json(folder / MANIFEST)
        correct = _measured_once(folder, rows, batch_size, cache)
        results.append(
            Result(
                data=run.data,
                variant=run.variant,
                seed=run.seed,
                model=role,
                validation=correct["validation"],
                test=correct["test"],
                architecture=manifest.get("architecture", ""),
                parameters=manifest.get("parameters"),
                size_bytes=manifest.get("size_bytes"),
                form=manifest.get("form", ""),
                folder=str(folder),
                seconds=costs,
            )
        )
    return results


def _costs(chain: Mapping[str, Task], store: Store) -> dict[str, float]:
    """Further teachers measure under a prefixed name: they are included."""
    costs = {}
    for step, measure, column in COSTS:
        found = [
            seconds
            for name, seconds in store.seconds(chain[step]).items()
            if name == measure or name.endswith(f"_{measure}")
        ]
        if sum(found) > 0:
            costs[column] = sum(found)
    distilled = store.seconds(chain["distill"])
    if distilled.get("labelled_shards_computed") != distilled.get("labelled_shards"):
        for column in ("augmentation_seconds", "labelling_seconds"):
            costs.pop(column, None)  # a part came from the cache, so the rest is not the whole cost
    return costs


def _measured_once(folder: Path, rows: Rows, batch_size: int, cache: Path) -> dict[str, Correct]:
    # In another batch a dynamic int8 form answers slightly differently.
    key = f"{graph_key(folder)} {rows.digest} batch={batch_size} lock={lock_digest()}"
    file = cache / f"{text_digest(key)[:32]}.npz"
    if not is_intact(file):
        model = OnnxClassifier(folder, threads=_ALL_CORES)
        if model.labels != rows.labels:
            raise UserError(
                f"{folder} and the corpus have different labels: {model.labels}",
                code="labels-mismatch",
            )

        def predict(texts: Sequence[str]) -> NDArray[np.int64]:
            return np.asarray(model.logits(texts, batch_size=batch_size).argmax(axis=1))

        correct = rows.correct(predict)
        write_once(file, lambda partial: _save(partial, correct))
    with np.load(file, allow_pickle=False) as saved:
        return {split: saved[split] for split in rows.texts}


def _save(file: Path, correct: dict[str, Correct]) -> None:
    with file.open("wb") as stream:
        np.savez_compressed(stream, **correct)  # type: ignore[arg-type]
