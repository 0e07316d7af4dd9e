"""Latency of all models of a data set side by side, when nothing else runs."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.study.accuracy import graph_key
from benchmarks.study.controls import Control
from benchmarks.study.results import MAJORITY, Result, Timing
from benchmarks.study.statistics import TEACHER_KEY
from components.evaluate.machine import machine_facts
from components.evaluate.step import Params
from decant.inference.classifier import OnnxClassifier
from decant.inference.latency import (
    Candidate,
    Speedup,
    Timings,
    measure_latency,
    percentile_us,
    speedup,
    tokenizer_threads,
)
from decant.runtime.artifacts import read_json, write_json
from decant.runtime.cache_folder import write_once
from decant.runtime.identity import canonical_json, text_digest
from decant.runtime.reporter import Reporter

_BUSY_SHARE = 0.2  # of the cores


def measure_times(
    results: Sequence[Result],
    controls: Sequence[Control],
    texts: Sequence[str],
    params: Params,
    *,
    file: Path,
    reporter: Reporter,
) -> list[Result]:
    """The results of one data set with their timings.

    A model's time does not depend on its weights, but on its form, which may differ from seed to
    seed: every form is measured, in the first seed that has it, and the slowest counts for all.
    Models with the same files are measured once. The figures are kept in `file` and used
    again while models, texts, settings and machine are the same.
    """
    shown = [result for result in results if result.folder]
    first = {(*result.key, result.form): result for result in reversed(shown)}
    graphs = {form: graph_key(Path(result.folder)) for form, result in first.items()}
    chosen = np.random.default_rng(params.seed).permutation(len(texts))[: params.latency_texts]
    sample = [texts[index] for index in np.sort(chosen)]
    timed = [control for control in controls if control.name != MAJORITY]
    key = text_digest(
        canonical_json(
            {
                "graphs": sorted(set(graphs.values())),
                "controls": [control.architecture for control in timed],
                "texts": sample,
                "calls": [params.threads, params.warmup_calls],
                "machine": machine_facts(params.threads),
            }
        )
    )
    known: dict[str, Any] = read_json(file) if file.is_file() else {}
    if known.get("key") != key:
        folders = {graph: Path(first[name].folder) for name, graph in graphs.items()}
        measured = _measure(folders, timed, sample, params, reporter)
        teachers = [measured[graph] for form, graph in graphs.items() if form[:2] == TEACHER_KEY]
        teacher = teachers[0] if teachers else None  # always float32
        known = {
            "key": key,
            "machine": machine_facts(params.threads),
            "texts": len(sample),
            "timings": {name: _summary(timing, teacher) for name, timing in measured.items()},
        }
        write_once(file, lambda partial_file: write_json(partial_file, known))
    by_name = {name: _timing(values) for name, values in known["timings"].items()}
    times: dict[tuple[str, str], Timing] = {}
    for (variant, model, _), graph in graphs.items():
        of_form, slowest = by_name[graph], times.get((variant, model))
        if slowest is None or of_form.shown_us > slowest.shown_us:
            times[variant, model] = of_form
    return [
        dataclasses.replace(result, timing=times.get(result.key) or by_name.get(result.model))
        for result in results
    ]


def warn_if_busy(reporter: Reporter) -> None:
    """Warn when other processes use the machine: the times would include them."""
    busy = psutil.cpu_percent(interval=1.0) / 100
    if busy > _BUSY_SHARE:
        reporter.warning(
            f"other processes keep {busy:.0%} of the cores busy: the times will be too long; "
            "delete latency/ in the output folder and run the study again when they are done"
        )


def _measure(
    folders: Mapping[str, Path],
    controls: Sequence[Control],
    texts: Sequence[str],
    params: Params,
    reporter: Reporter,
) -> dict[str, Timings]:
    count = len(texts)
    candidates: dict[str, Candidate[str]] = {}
    for name, folder in folders.items():
        model = OnnxClassifier(folder, threads=params.threads)
        predict = partial(model.predict, batch_size=params.batch_size)
        candidates[name] = Candidate(
            predict=predict, encode=model.encode, run=model.run, texts=count
        )
    candidates |= {control.name: control.candidate(count) for control in controls}
    with (
        tokenizer_threads(params.threads),
        reporter.progress(f"latency of {len(candidates)} models", count, unit="texts") as advance,
    ):
        return measure_latency(candidates, texts, warmup=params.warmup_calls, advance=advance)


def _summary(timings: Timings, teacher: Timings | None) -> dict[str, Any]:
    """Median times, and the ratio to the teacher's: [median, low, high] over the blocks."""
    result: dict[str, Any] = {}
    for measure in ("model", "end_to_end"):
        result[f"{measure}_us"] = percentile_us(timings.of(measure), 50)
        ratio = speedup(teacher.of(measure), timings.of(measure)) if teacher else None
        result[f"faster_{measure}"] = list(dataclasses.astuple(ratio)) if ratio else None
    return result


def _timing(values: Mapping[str, Any]) -> Timing:
    def ratio(measure: str) -> Speedup | None:
        found = values[f"faster_{measure}"]
        return Speedup(*found) if found else None

    return Timing(
        model_us=values["model_us"],
        end_to_end_us=values["end_to_end_us"],
        faster_model=ratio("model"),
        faster_end_to_end=ratio("end_to_end"),
    )
