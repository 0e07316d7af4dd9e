"""Measure teacher, student and controls on the test split and give the verdict of the gate.

`evaluation` has the deterministic figures. `report` has the times too, so no digest covers it.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.evaluate.bert_base import BertBase
from components.evaluate.bootstrap import resampled_scores
from components.evaluate.contract import Inputs, Outputs, Params
from components.evaluate.data_figures import data_figures
from components.evaluate.exported_manifest import Manifest
from components.evaluate.figures import Constant, quality_figures
from components.evaluate.findings import class_findings
from components.evaluate.gate import check_applies, gate_checks, unbeaten_controls
from components.evaluate.labelled_rows import LabelledRows, read_labelled
from components.evaluate.logged_figures import log_quality, log_times
from components.evaluate.machine import machine_facts
from components.evaluate.model_titles import model_titles, titles_by_target
from components.evaluate.pictures import draw_accuracy_latency
from components.evaluate.report import write_report
from components.evaluate.tables import write_plot_tables, write_predictions
from components.evaluate.tested_models import (
    BERT_BASE,
    TFIDF,
    decided_tasks,
    open_alone,
    open_models,
)
from components.evaluate.tfidf import fit_tfidf
from components.evaluate.timing import timing_figures
from decant.data.corpus import read_schema
from decant.figures.evaluation_figures import Figures
from decant.figures.gate_check import verdict_on
from decant.figures.metrics_file import METRICS, QUALITY, as_json
from decant.figures.quality_figures import ExportedFigures
from decant.figures.timing_figures import TimingFigures
from decant.inference.classifier import OnnxClassifier
from decant.inference.latency import (
    Candidate,
    Timings,
    measure_latency,
    measure_throughput,
    tokenizer_threads,
)
from decant.inference.refusals import refusals
from decant.runtime.artifacts import write_json
from decant.runtime.reporter import Reporter
from decant.tasks.answers import values
from decant.tasks.control import TfidfControl, constants
from decant.tasks.pictures import draw_targets
from decant.tasks.quality import Measured, measure
from decant.tasks.tables import sections
from decant.tasks.task import Task

Values = Mapping[str, NDArray[np.floating[Any]]]
_ALL_CORES = 0


def run(params: Params, inputs: Inputs, outputs: Outputs, reporter: Reporter) -> None:
    """Raises UserError when models and corpus do not match, or there is no test row."""
    task = read_schema(inputs.corpus).task
    check_applies(params.gate, task)
    models = open_models(inputs.onnx, threads=_ALL_CORES)
    alone = open_alone(inputs.onnx, task, threads=_ALL_CORES)
    tasks = decided_tasks(task, {**models, **alone})
    test = read_labelled(inputs.corpus, "test", task)
    with reporter.activity("fitting the TF-IDF control"):
        control = fit_tfidf(inputs.corpus, task, c_grid=params.tfidf_c_grid, seed=params.seed)
    tasks[TFIDF] = control.task
    found = _predict({**models, **alone}, tasks, control, test.texts, params.batch_size, reporter)
    every = {model: measure(tasks[model], found[model], test.labels) for model in found}
    tested = {model: every[model] for model in every if model not in alone}
    manifests = {name: Manifest.model_validate(model.manifest) for name, model in models.items()}
    with reporter.activity("bootstrap intervals"):
        drawn = resampled_scores(
            task, every, test.known, samples=params.bootstrap_samples, seed=params.seed
        )
    of_quality = quality_figures(
        task,
        tested,
        drawn,
        manifests=manifests,
        control=control,
        constant=_constant(inputs.corpus, task, test),
        alone={name: every[name] for name in alone},
        data=data_figures(inputs.corpus, test),
        samples=params.bootstrap_samples,
        seed=params.seed,
    )
    by_target = _by_target(task, tested)
    write_json(outputs.evaluation / QUALITY, as_json(of_quality))
    write_predictions(
        outputs.evaluation, test.frame, tasks, {model: found[model] for model in tested}
    )
    write_plot_tables(outputs.evaluation, task, by_target)
    log_quality(of_quality, reporter)
    del models, alone  # their threads would disturb the measurement

    timing = _measure(params, inputs.onnx, control, test.frame, manifests, outputs.report, reporter)
    verdict = verdict_on(gate_checks(params.gate, of_quality, timing, task))
    figures = Figures.of(of_quality, timing, verdict)
    write_json(outputs.report / METRICS, as_json(figures))
    _accuracy_latency_table(figures).to_csv(outputs.report / "accuracy_latency.csv", index=False)
    _write_report(outputs.report, task, figures, by_target, test, manifests, quick=params.quick)
    reporter.measure("gate_passed", verdict.passed)
    reporter.message("gate passed" if verdict.passed else "gate failed")
    unbeaten = unbeaten_controls(params.gate, of_quality, task)
    for sentence in (*class_findings(figures), *verdict.reasons, *unbeaten):
        reporter.warning(sentence)


def _predict(
    models: Mapping[str, OnnxClassifier],
    tasks: Mapping[str, Task],
    control: TfidfControl,
    texts: list[str],
    batch_size: int,
    reporter: Reporter,
) -> dict[str, Values]:
    """Values (rows, W) of every model and target, batch by batch."""
    logits: dict[str, list[NDArray[np.float32]]] = {name: [] for name in models}
    of_control: list[Values] = []
    with reporter.progress("predicting the test split", len(texts), unit="rows") as advance:
        for start in range(0, len(texts), batch_size):
            batch = texts[start : start + batch_size]
            for name, model in models.items():
                with refusals():
                    logits[name].append(model.logits(batch, batch_size=batch_size))
            of_control.append(control.values(batch))
            advance(len(batch))
    found: dict[str, Values] = {
        name: values(tasks[name], np.concatenate(rows)) for name, rows in logits.items()
    }
    targets = [target.name for target in control.task.targets]
    found[TFIDF] = {name: np.concatenate([part[name] for part in of_control]) for name in targets}
    return found


def _constant(corpus: Path, task: Task, test: LabelledRows) -> Constant:
    """The best constant answers on the training rows, measured on the test rows."""
    best = constants(task, read_labelled(corpus, "train", task).labels)
    rows = len(test.frame)
    answers = {name: np.tile(answer, (rows, 1)) for name, (answer, _) in best.items()}
    return Constant(
        tested=measure(task, answers, test.labels),
        answers={name: text for name, (_, text) in best.items()},
    )


def _by_target(
    task: Task, tested: Mapping[str, Mapping[str, Measured]]
) -> dict[str, dict[str, Any]]:
    """By target, the kind's Quality per model."""
    return {
        target.name: {model: found[target.name].quality for model, found in tested.items()}
        for target in task.targets
    }


def _write_report(
    folder: Path,
    task: Task,
    figures: Figures,
    tested: Mapping[str, Mapping[str, Any]],
    test: LabelledRows,
    manifests: Mapping[str, Manifest],
    *,
    quick: bool,
) -> None:
    titles = model_titles(task)
    pictures = draw_targets(folder, task, tested, titles_by_target(task))
    of_targets = {
        target.name: sections(
            target,
            tested[target.name],
            test.frame["text"][test.known[target.name]].tolist(),
            pictures[target.name].numbered,
        )
        for target in task.targets
    }
    write_report(
        folder,
        figures=figures,
        task=task,
        titles=titles,
        sections=of_targets,
        pictures={name: drawn.files for name, drawn in pictures.items()},
        accuracy_latency=draw_accuracy_latency(folder, figures, titles),
        quantisation={
            role: manifest.quantisation
            for role, manifest in manifests.items()
            if manifest.quantisation is not None
        },
        quick=quick,
    )


def _measure(
    params: Params,
    folder: Path,
    control: TfidfControl,
    test: pd.DataFrame,
    manifests: Mapping[str, Manifest],
    report: Path,
    reporter: Reporter,
) -> TimingFigures:
    """Timed figures; also writes latency.csv, a line per model and text."""
    models = open_models(folder, threads=params.threads)
    count = min(params.latency_texts, len(test))
    chosen = np.random.default_rng(params.seed).choice(len(test), count, replace=False)
    texts = test["text"].iloc[np.sort(chosen)].tolist()
    tokens = [models["teacher"].encode([text]).shape[1] for text in texts]
    candidates = {
        name: Candidate(
            predict=partial(model.predict, batch_size=params.batch_size),
            encode=model.encode,
            run=model.run,
            texts=count,
        )
        for name, model in models.items()
    }
    candidates[TFIDF] = Candidate(predict=control.values, encode=None, run=None, texts=count)
    if params.bert_base:
        reporter.message(
            "BERT-base for comparison (its graph is made once, then kept in the cache)"
        )
        with reporter.activity("BERT-base for comparison"):
            base = BertBase(models["teacher"], threads=params.threads)
        candidates[BERT_BASE] = Candidate(
            predict=base.predict, encode=base.encode, run=base.run, texts=params.bert_base_texts
        )
    with tokenizer_threads(params.threads):
        with reporter.progress("measuring latency", count, unit="texts") as advance:
            timings = measure_latency(
                candidates, texts, warmup=params.warmup_calls, advance=advance
            )
        batches = params.throughput_batches
        with reporter.progress("measuring throughput", batches, unit="batches") as advance:
            throughput = measure_throughput(
                candidates,
                texts,
                batch_size=params.batch_size,
                batches=batches,
                advance=advance,
            )
    _latency_rows(timings, tokens).to_csv(report / "latency.csv", index=False)
    timing = timing_figures(
        timings,
        throughput,
        token_counts=tokens,
        batch_size=params.batch_size,
        manifests=manifests,
        machine=machine_facts(params.threads),
    )
    log_times(timing, reporter)
    return timing


def _latency_rows(timings: Mapping[str, Timings], tokens: list[int]) -> pd.DataFrame:
    tables = [
        pd.DataFrame(
            {
                "model": name,
                "tokens": tokens,
                "model_us": timing.model_us,
                "end_to_end_us": timing.end_to_end_us,
            }
        ).dropna(subset="end_to_end_us")
        for name, timing in timings.items()
    ]
    return pd.concat(tables).round(1)


def _accuracy_latency_table(figures: Figures) -> pd.DataFrame:
    rows = []
    for name, model in figures.models().items():
        low, high = model.score_interval
        exported = model if isinstance(model, ExportedFigures) else None
        is_accuracy = model.accuracy is not None
        rows.append(
            {
                "model": name,
                "accuracy": model.accuracy,
                "accuracy_low": low if is_accuracy else None,
                "accuracy_high": high if is_accuracy else None,
                "latency_p50_us": figures.latency_p50_us[name].end_to_end,
                "size_bytes": exported.size_bytes if exported else None,
                "parameters": exported.parameters if exported else None,
                "score": model.score,
                "score_low": low,
                "score_high": high,
            }
        )
    whole = {"size_bytes": "Int64", "parameters": "Int64"}
    return pd.DataFrame(rows).astype(whole)
