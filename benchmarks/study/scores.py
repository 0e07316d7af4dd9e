"""How good every model is, from the exported graphs; each graph answers the rows once."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.study.controls import Control
from benchmarks.study.finished_runs import Store
from benchmarks.study.results import COSTS, ROLES, Result, Scored
from benchmarks.study.study_plan import Run
from benchmarks.study.tasks import Task as StudyTask
from benchmarks.study.tasks import Work
from benchmarks.study.work_queue import is_done
from components.evaluate.labelled_rows import read_labelled
from components.evaluate.tested_models import ALONE, decided_task
from decant.data.corpus import Split, read_schema
from decant.inference.classifier import OnnxClassifier
from decant.inference.model_files import MANIFEST
from decant.runtime.artifacts import read_json
from decant.runtime.cache_folder import is_intact, write_once
from decant.runtime.errors import UserError
from decant.runtime.identity import canonical_json, lock_digest, text_digest
from decant.runtime.reporter import Reporter
from decant.tasks.answers import values
from decant.tasks.labels import column_of
from decant.tasks.quality import Values, measure
from decant.tasks.task import Task

Logits = Mapping[str, NDArray[np.float32]]  # by split (rows, outputs)
SPLITS: tuple[Split, ...] = ("validation", "test")
_ALL_CORES = 0


class Rows:
    """Texts and labels of the splits on which a data set's models are compared."""

    def __init__(self, corpus: Path) -> None:
        self.task = task = read_schema(corpus).task
        self._splits = {split: read_labelled(corpus, split, task) for split in SPLITS}
        self.texts: dict[str, list[str]] = {name: s.texts for name, s in self._splits.items()}
        labels = {
            name: [split.table[column_of(task, target)].to_pylist() for target in task.targets]
            for name, split in self._splits.items()
        }
        outputs = [[target.name, target.kind, target.outputs] for target in task.targets]
        self.digest = text_digest(canonical_json([outputs, self.texts, labels]))

    def scored(
        self, task: Task, answer: Callable[[str], Mapping[str, Values]]
    ) -> dict[str, Scored]:
        """A model on both splits.

        Args:
            task: the model's own, with its decisions.
            answer: of a split's name, per target the values (rows, W).
        """
        return {
            name: Scored(targets=measure(task, answer(name), split.labels), known=split.known)
            for name, split in self._splits.items()
        }


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
        cache: folder for the logits.
    """
    finished = [run for run, chain in work.chains.items() if is_done(store, chain["export_onnx"])]
    results: list[Result] = []
    problems: dict[Run, str] = {}
    own: dict[Path, Rows] = {}  # by corpus: another label budget scales a number differently
    with reporter.progress("scores", len(finished), unit="runs") as advance:
        for run in finished:
            chain = work.chains[run]
            try:
                corpus = store.path(chain["ingest"], "corpus")
                if corpus not in own:
                    own[corpus] = Rows(corpus)
                if own[corpus].digest != rows[run.data].digest:
                    raise UserError(
                        "its validation or test rows differ from the default's",
                        code="rows-mismatch",
                        hint="change neither splits nor labels in a variant",
                    )
                models = ExportedModels(own[corpus], rows[run.data].task, batch_size, cache)
                results += _results(run, chain, store, models)
            except UserError as error:
                problems[run] = str(error)
            advance(1)
    return results, problems


def control_result(data: str, control: Control, rows: Rows) -> Result:
    scored = rows.scored(control.task, lambda split: control.values(rows.texts[split]))
    return Result(
        data=data,
        variant="",
        seed=None,
        model=control.name,
        validation=scored["validation"],
        test=scored["test"],
        architecture=control.architecture,
        parameters=control.parameters,
        size_bytes=control.size_bytes,
    )


def graph_key(folder: Path) -> str:
    """Digest of an exported folder's files, as its manifest has them."""
    return text_digest(canonical_json(read_json(folder / MANIFEST)["files"]))


@dataclass(frozen=True)
class ExportedModels:
    """Reads exported models of one corpus.

    Attributes:
        judge: the default's task: its metrics and weights are those of all variants.
    """

    rows: Rows
    judge: Task
    batch_size: int
    cache: Path

    def scored(self, folder: Path, only: str | None) -> tuple[dict[str, Scored], Path]:
        """The model on both splits, and the file of its logits; `only` one target may count.

        Raises UserError where it cannot be read or has another task than its corpus.
        """
        try:
            logits, file = self._logits(folder)
            task = self._judged(decided_task(self.rows.task, read_json(folder / MANIFEST), folder))
        except ValueError as error:
            raise UserError(f"{folder} cannot be read: {error}", code="model-unreadable") from None
        if only is not None:
            task = task.only(only)
        return self.rows.scored(task, lambda split: values(task, logits[split])), file

    def _judged(self, task: Task) -> Task:
        pairs = zip(task.targets, self.judge.targets, strict=True)
        return Task(
            tuple(
                dataclasses.replace(target, metric=judge.metric, weight=judge.weight)
                for target, judge in pairs
            )
        )

    def _logits(self, folder: Path) -> tuple[Logits, Path]:
        # In another batch a dynamic int8 form answers slightly differently.
        key = f"{graph_key(folder)} {self.rows.digest} batch={self.batch_size} lock={lock_digest()}"
        file = self.cache / f"{text_digest(key)[:32]}.npz"
        if not is_intact(file):
            texts = self.rows.texts
            model = OnnxClassifier(folder, threads=_ALL_CORES)
            found = {
                split: model.logits(texts[split], batch_size=self.batch_size) for split in texts
            }
            write_once(file, lambda partial: _save(partial, found))
        with np.load(file, allow_pickle=False) as saved:
            return {split: saved[split] for split in SPLITS}, file


def _results(
    run: Run, chain: Mapping[str, StudyTask], store: Store, models: ExportedModels
) -> list[Result]:
    onnx = store.path(chain["export_onnx"], "onnx")
    costs = _costs(chain, store)
    alone: dict[str, str | None] = {
        f"{ALONE}/{target.name}": target.name for target in models.judge.targets
    }
    results = []
    for role, only in {**dict.fromkeys(ROLES), **alone}.items():
        folder = onnx / role
        if not (folder / MANIFEST).is_file():
            continue
        manifest = read_json(folder / MANIFEST)
        scored, file = models.scored(folder, only)
        results.append(
            Result(
                data=run.data,
                variant=run.variant,
                seed=run.seed,
                model=role,
                validation=scored["validation"],
                test=scored["test"],
                architecture=manifest.get("architecture", ""),
                parameters=manifest.get("parameters"),
                size_bytes=manifest.get("size_bytes"),
                form=manifest.get("form", ""),
                folder=str(folder),
                logits=str(file),
                seconds=costs,
            )
        )
    return results


def _costs(chain: Mapping[str, StudyTask], store: Store) -> dict[str, float]:
    """Further teachers measure under a prefixed name: they are included."""
    costs = {}
    for step, measured, column in COSTS:
        found = [
            seconds
            for name, seconds in store.seconds(chain[step]).items()
            if name == measured or name.endswith(f"_{measured}")
        ]
        if sum(found) > 0:
            costs[column] = sum(found)
    distilled = store.seconds(chain["distill"])
    if distilled.get("labelled_shards_computed") != distilled.get("labelled_shards"):
        for column in ("augmentation_seconds", "labelling_seconds"):
            costs.pop(column, None)  # a part came from the cache, so the rest is not the whole cost
    return costs


def _save(file: Path, logits: Logits) -> None:
    with file.open("wb") as stream:
        np.savez_compressed(stream, **logits)  # type: ignore[arg-type]
