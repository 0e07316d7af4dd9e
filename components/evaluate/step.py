"""Measures teacher, student and controls on the test split and gives the verdict of the gate.

`evaluation` holds what the same models always give. `report` holds the times too, so no digest
covers it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from components.evaluate.bert_base import BertBase
from components.evaluate.figures import BERT_BASE, models_of, quality_figures, timing_figures
from components.evaluate.gate import Gate, judge
from components.evaluate.machine import machine_facts
from components.evaluate.pictures import draw_pictures
from components.evaluate.quality import measure_quality
from components.evaluate.report import write_report
from components.evaluate.tables import write_plot_tables, write_predictions
from components.evaluate.tested_models import TFIDF, class_indices, open_models, read_test_split
from components.evaluate.tfidf import TfidfControl, fit_tfidf
from decant.data.corpus import SPLITS, read_schema, read_split, split_rows
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
from decant.runtime.settings import Seed, settings

VARYING = frozenset({"report"})
_ALL_CORES = 0


@settings
class Params:
    batch_size: Annotated[int, Field(ge=1, le=4096)]
    bootstrap_samples: Annotated[int, Field(ge=100, le=1_000_000)]
    tfidf_c_grid: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    threads: Annotated[int, Field(ge=1, le=256)]
    warmup_calls: Annotated[int, Field(ge=1, le=10_000)]
    latency_texts: Annotated[int, Field(ge=10, le=100_000)]
    throughput_batches: Annotated[int, Field(ge=1, le=1000)]
    bert_base: bool
    bert_base_texts: Annotated[int, Field(ge=10, le=100_000)]
    quick: bool
    gate: Gate
    seed: Seed


@dataclass(frozen=True, kw_only=True)
class Inputs:
    onnx: Path
    corpus: Path


@dataclass(frozen=True, kw_only=True)
class Outputs:
    evaluation: Path
    report: Path


def run(params: Params, inputs: Inputs, outputs: Outputs, reporter: Reporter) -> None:
    """Raises UserError when models and corpus do not fit together, or there is no test row."""
    models = open_models(inputs.onnx, threads=_ALL_CORES)
    labels = models["teacher"].labels
    test = read_test_split(inputs.corpus, labels)
    with reporter.activity("fitting the TF-IDF control"):
        control = fit_tfidf(inputs.corpus, labels, c_grid=params.tfidf_c_grid, seed=params.seed)
    probabilities = _predict(models, control, test["text"].tolist(), params.batch_size, reporter)

    actual = class_indices(test["label"], labels)
    predicted = {name: values.argmax(axis=1) for name, values in probabilities.items()}
    quality = {name: measure_quality(actual, values) for name, values in probabilities.items()}
    manifests = {name: model.manifest for name, model in models.items()}
    with reporter.activity("bootstrap intervals"):
        figures = quality_figures(
            actual,
            predicted,
            quality,
            manifests=manifests,
            control=control,
            majority=_majority(inputs.corpus, labels),
            samples=params.bootstrap_samples,
            seed=params.seed,
        )
    figures["data"] = _data_figures(inputs.corpus, test, labels)
    write_json(outputs.evaluation / "quality.json", figures)
    write_predictions(outputs.evaluation, test, labels, probabilities)
    write_plot_tables(outputs.evaluation, test, labels, predicted, quality)
    _tell_quality(figures, reporter)
    del models  # their threads would disturb the measurement

    figures |= _measure(params, inputs.onnx, control, test, manifests, outputs.report, reporter)
    verdict = judge(params.gate, figures)
    figures["gate"] = {"passed": verdict.passed, "reasons": list(verdict.reasons)}
    write_json(outputs.report / "metrics.json", figures)
    _accuracy_latency_table(figures).to_csv(outputs.report / "accuracy_latency.csv", index=False)
    pictures = draw_pictures(outputs.report, labels, actual, predicted, quality, figures)
    write_report(
        outputs.report,
        figures=figures,
        quick=params.quick,
        labels=labels,
        quality=quality,
        test=test,
        probabilities=probabilities,
        pictures=pictures,
        quantisation={
            role: manifest["quantisation"]
            for role, manifest in manifests.items()
            if "quantisation" in manifest
        },
    )
    reporter.measure("gate_passed", verdict.passed)
    reporter.message("gate passed" if verdict.passed else "gate failed")
    for reason in verdict.reasons:
        reporter.warning(reason)


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
    manifests: Mapping[str, Mapping[str, Any]],
    report: Path,
    reporter: Reporter,
) -> dict[str, Any]:
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
    figures = timing_figures(
        timings,
        throughput,
        token_counts=tokens,
        batch_size=params.batch_size,
        manifests=manifests,
    )
    figures["machine"] = machine_facts(params.threads)
    _tell_times(figures, reporter)
    return figures


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


def _accuracy_latency_table(figures: Mapping[str, Any]) -> pd.DataFrame:
    rows = []
    for name, model in models_of(figures).items():
        low, high = model["accuracy_interval"]
        rows.append(
            {
                "model": name,
                "accuracy": model["accuracy"],
                "accuracy_low": low,
                "accuracy_high": high,
                "latency_p50_us": figures["latency_p50_us"][name]["end_to_end"],
                "size_bytes": model.get("size_bytes"),
                "parameters": model.get("parameters"),
            }
        )
    whole = {"size_bytes": "Int64", "parameters": "Int64"}
    return pd.DataFrame(rows).astype(whole)


def _majority(corpus: Path, labels: tuple[str, ...]) -> tuple[int, str]:
    """The most frequent class of the training split; of equals, the first."""
    counts = np.bincount(class_indices(read_split(corpus, "train")["label"], labels))
    index = int(counts.argmax())
    return index, labels[index]


def _data_figures(corpus: Path, test: pd.DataFrame, labels: tuple[str, ...]) -> dict[str, Any]:
    schema = read_schema(corpus)
    digest = hashlib.sha256()
    for row in zip(test["row_id"], test["text"], test["label"], strict=True):
        digest.update(json.dumps(list(row), ensure_ascii=False).encode() + b"\n")
    return {
        "task": schema.task,
        "text_column": schema.text_column,
        "label_column": schema.label_column,
        "labels": list(labels),
        "rows": {split: split_rows(corpus, split) for split in SPLITS},
        "test_digest": digest.hexdigest(),
    }


def _tell_quality(figures: Mapping[str, Any], reporter: Reporter) -> None:
    student, controls = figures["student"], figures["controls"]
    reporter.metric("student_accuracy", student["accuracy"])
    reporter.metric("teacher_accuracy", figures["teacher"]["accuracy"])
    if student["retention"] is not None:
        reporter.metric("retention", student["retention"])
    reporter.metric("tfidf_accuracy", controls["tfidf"]["accuracy"])
    reporter.metric("undistilled_accuracy", controls["undistilled"]["accuracy"])
    reporter.metric("majority_accuracy", controls["majority"]["accuracy"])
    reporter.metric("student_macro_f1", student["macro_f1"])
    reporter.metric("ece", student["ece"])


def _tell_times(figures: Mapping[str, Any], reporter: Reporter) -> None:
    for measure in ("model", "end_to_end"):
        for name in ("student", "teacher"):
            value = figures["latency_p50_us"][name][measure]
            reporter.measure(f"{name}_{measure}_latency_p50_us", value)
        for other in ("vs_teacher", f"vs_{BERT_BASE}"):
            if (times := figures["speedup"][measure][other]) is not None:
                reporter.measure(f"{measure}_speedup_{other}", times)
