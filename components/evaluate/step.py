"""Measure teacher, student and controls on the test split and give the verdict of the gate.

`evaluation` has the deterministic figures. `report` has the times too, so no digest covers it.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.evaluate.bert_base import BertBase
from components.evaluate.class_names import drawn_names
from components.evaluate.contract import Inputs, Outputs, Params
from components.evaluate.exported_manifest import Manifest
from components.evaluate.figures import BERT_BASE, quality_figures, timing_figures
from components.evaluate.findings import class_findings
from components.evaluate.gate import gate_checks
from components.evaluate.machine import machine_facts
from components.evaluate.pictures import draw_pictures
from components.evaluate.quality import measure_quality
from components.evaluate.report import write_report
from components.evaluate.tables import write_plot_tables, write_predictions
from components.evaluate.tested_models import TFIDF, class_indices, open_models, read_test_split
from components.evaluate.tfidf import TfidfControl, fit_tfidf
from decant.data.corpus import SPLITS, read_schema, read_split, split_rows
from decant.figures.evaluation_figures import Figures
from decant.figures.gate_check import verdict_on
from decant.figures.metrics_file import METRICS, as_json
from decant.figures.quality_figures import DataFigures, ExportedFigures, QualityFigures, SplitRows
from decant.figures.timing_figures import TimingFigures
from decant.inference.classifier import OnnxClassifier, softmax
from decant.inference.latency import (
    Candidate,
    Timings,
    measure_latency,
    measure_throughput,
    tokenizer_threads,
)
from decant.runtime.artifacts import write_json
from decant.runtime.reporter import Reporter

_ALL_CORES = 0


def run(params: Params, inputs: Inputs, outputs: Outputs, reporter: Reporter) -> None:
    """Raises UserError when models and corpus do not match, or there is no test row."""
    models = open_models(inputs.onnx, threads=_ALL_CORES)
    labels = models["teacher"].labels
    test = read_test_split(inputs.corpus, labels)
    with reporter.activity("fitting the TF-IDF control"):
        control = fit_tfidf(inputs.corpus, labels, c_grid=params.tfidf_c_grid, seed=params.seed)
    probabilities = _predict(models, control, test["text"].tolist(), params.batch_size, reporter)

    actual = class_indices(test["label"], labels)
    predicted = {name: values.argmax(axis=1) for name, values in probabilities.items()}
    quality = {name: measure_quality(actual, values) for name, values in probabilities.items()}
    manifests = {name: Manifest.model_validate(model.manifest) for name, model in models.items()}
    with reporter.activity("bootstrap intervals"):
        of_quality = quality_figures(
            actual,
            predicted,
            quality,
            manifests=manifests,
            control=control,
            majority=_majority(inputs.corpus, labels),
            data=_data_figures(inputs.corpus, test, labels),
            samples=params.bootstrap_samples,
            seed=params.seed,
        )
    write_json(outputs.evaluation / "quality.json", as_json(of_quality))
    write_predictions(outputs.evaluation, test, labels, probabilities)
    write_plot_tables(outputs.evaluation, test, labels, predicted, quality)
    _log_quality(of_quality, reporter)
    del models  # their threads would disturb the measurement

    timing = _measure(params, inputs.onnx, control, test, manifests, outputs.report, reporter)
    verdict = verdict_on(gate_checks(params.gate, of_quality, timing))
    figures = Figures.of(of_quality, timing, verdict)
    write_json(outputs.report / METRICS, as_json(figures))
    _accuracy_latency_table(figures).to_csv(outputs.report / "accuracy_latency.csv", index=False)
    names = drawn_names(labels)
    pictures = draw_pictures(outputs.report, names, actual, predicted, quality, figures)
    write_report(
        outputs.report,
        figures=figures,
        quick=params.quick,
        labels=labels,
        numbered=names.numbered,
        quality=quality,
        test=test,
        probabilities=probabilities,
        pictures=pictures,
        quantisation={
            role: manifest.quantisation
            for role, manifest in manifests.items()
            if manifest.quantisation is not None
        },
    )
    reporter.measure("gate_passed", verdict.passed)
    reporter.message("gate passed" if verdict.passed else "gate failed")
    for sentence in (*class_findings(figures), *verdict.reasons):
        reporter.warning(sentence)


def _predict(
    models: Mapping[str, OnnxClassifier],
    control: TfidfControl,
    texts: list[str],
    batch_size: int,
    reporter: Reporter,
) -> dict[str, NDArray[np.float32]]:
    """Probabilities (rows, classes) of every model, batch by batch."""
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in (*models, TFIDF)}
    with reporter.progress("predicting the test split", len(texts), unit="rows") as advance:
        for start in range(0, len(texts), batch_size):
            batch = texts[start : start + batch_size]
            for name, model in models.items():
                logits = model.logits(batch, batch_size=batch_size)
                parts[name].append(softmax(logits).astype(np.float32))
            parts[TFIDF].append(control.probabilities(batch))
            advance(len(batch))
    return {name: np.concatenate(rows) for name, rows in parts.items()}


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
    candidates[TFIDF] = Candidate(predict=control.probabilities, encode=None, run=None, texts=count)
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
    _log_times(timing, reporter)
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
        low, high = model.accuracy_interval
        exported = model if isinstance(model, ExportedFigures) else None
        rows.append(
            {
                "model": name,
                "accuracy": model.accuracy,
                "accuracy_low": low,
                "accuracy_high": high,
                "latency_p50_us": figures.latency_p50_us[name].end_to_end,
                "size_bytes": exported.size_bytes if exported else None,
                "parameters": exported.parameters if exported else None,
            }
        )
    whole = {"size_bytes": "Int64", "parameters": "Int64"}
    return pd.DataFrame(rows).astype(whole)


def _majority(corpus: Path, labels: tuple[str, ...]) -> tuple[int, str]:
    """The most frequent class of the training split; of equally frequent ones, the first."""
    counts = np.bincount(class_indices(read_split(corpus, "train")["label"], labels))
    index = int(counts.argmax())
    return index, labels[index]


def _data_figures(corpus: Path, test: pd.DataFrame, labels: tuple[str, ...]) -> DataFigures:
    schema = read_schema(corpus)
    digest = hashlib.sha256()
    for row in zip(test["row_id"], test["text"], test["label"], strict=True):
        digest.update(json.dumps(list(row), ensure_ascii=False).encode() + b"\n")
    return DataFigures(
        task=schema.task,
        text_column=schema.text_column,
        label_column=schema.label_column,
        labels=labels,
        rows=SplitRows(**{split: split_rows(corpus, split) for split in SPLITS}),
        test_digest=digest.hexdigest(),
    )


def _log_quality(figures: QualityFigures, reporter: Reporter) -> None:
    student, controls = figures.student, figures.controls
    reporter.metric("student_accuracy", student.accuracy)
    reporter.metric("teacher_accuracy", figures.teacher.accuracy)
    if student.retention is not None:
        reporter.metric("retention", student.retention)
    reporter.metric("tfidf_accuracy", controls.tfidf.accuracy)
    reporter.metric("undistilled_accuracy", controls.undistilled.accuracy)
    reporter.metric("majority_accuracy", controls.majority.accuracy)
    reporter.metric("student_macro_f1", student.macro_f1)
    if student.worst_class is not None:
        reporter.metric("student_worst_class_recall", student.worst_class.recall)
    reporter.metric("student_missed_classes", len(student.missed_classes or ()))
    reporter.metric("ece", student.ece)


def _log_times(figures: TimingFigures, reporter: Reporter) -> None:
    student, teacher = figures.latency_p50_us["student"], figures.latency_p50_us["teacher"]
    for measure, medians, ratios in (
        ("model", (student.model, teacher.model), figures.speedup.model),
        ("end_to_end", (student.end_to_end, teacher.end_to_end), figures.speedup.end_to_end),
    ):
        for name, median in zip(("student", "teacher"), medians, strict=True):
            if median is not None:
                reporter.measure(f"{name}_{measure}_latency_p50_us", median)
        for other in ("teacher", BERT_BASE):
            if (times := ratios.over(other)) is not None:
                reporter.measure(f"{measure}_speedup_vs_{other}", times)
