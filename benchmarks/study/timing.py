"""Latency of all models of a data set side by side, when nothing else runs."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pydantic
from numpy.typing import NDArray

from benchmarks.study.controls import Control
from benchmarks.study.results import CONSTANT, MAJORITY, Result, Timing
from benchmarks.study.scores import graph_key
from benchmarks.study.statistics import TEACHER_KEY
from components.evaluate.contract import Params
from components.evaluate.machine import machine_facts
from decant.figures.figure_set import FigureSet
from decant.figures.metrics_file import as_json
from decant.figures.timing_figures import Machine
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
from decant.runtime.artifacts import write_json
from decant.runtime.cache_folder import write_once
from decant.runtime.identity import canonical_json, text_digest
from decant.runtime.reporter import Reporter

_BUSY_SHARE = 0.2  # of the cores
_Ratio = tuple[float, float, float]  # median, low and high over the blocks


class _Median(FigureSet):
    """Median microseconds of a model, and how many times less than the teacher's."""

    model_us: float | None
    end_to_end_us: float
    faster_model: _Ratio | None
    faster_end_to_end: _Ratio | None


class _Measured(FigureSet):
    """The content of the file; `key` identifies the measurement."""

    key: str
    machine: Machine
    texts: int
    timings: Mapping[str, _Median]


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
    shown = [result for result in results if result.folder and result.alone is None]
    first = {(*result.key, result.form): result for result in reversed(shown)}
    graphs = {form: graph_key(Path(result.folder)) for form, result in first.items()}
    chosen = np.random.default_rng(params.seed).permutation(len(texts))[: params.latency_texts]
    sample = [texts[index] for index in np.sort(chosen)]
    machine = machine_facts(params.threads)
    timed = [control for control in controls if control.name not in (MAJORITY, CONSTANT)]
    key = text_digest(
        canonical_json(
            {
                "graphs": sorted(set(graphs.values())),
                "controls": [control.architecture for control in timed],
                "texts": sample,
                "calls": [params.threads, params.warmup_calls],
                "machine": as_json(machine),
            }
        )
    )
    known = _read(file)
    if known is None or known.key != key:
        folders = {graph: Path(first[name].folder) for name, graph in graphs.items()}
        measured = _measure(folders, timed, sample, params, reporter)
        teachers = [measured[graph] for form, graph in graphs.items() if form[:2] == TEACHER_KEY]
        teacher = teachers[0] if teachers else None  # always float32
        known = _Measured(
            key=key,
            machine=machine,
            texts=len(sample),
            timings={name: _summary(timing, teacher) for name, timing in measured.items()},
        )
        content = known.model_dump(mode="json")
        write_once(file, lambda partial_file: write_json(partial_file, content))
    by_name = {name: _timing(values) for name, values in known.timings.items()}
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


def _read(file: Path) -> _Measured | None:
    """What an earlier call measured; None where there is none, or of another version of Decant."""
    try:
        return _Measured.model_validate_json(file.read_bytes())
    except (FileNotFoundError, pydantic.ValidationError):
        return None


def _summary(timings: Timings, teacher: Timings | None) -> _Median:
    end_to_end_us = percentile_us(timings.end_to_end_us, 50)
    assert end_to_end_us is not None  # every model is timed on all texts
    return _Median(
        model_us=percentile_us(timings.model_us, 50),
        end_to_end_us=end_to_end_us,
        faster_model=_ratio(teacher.model_us, timings.model_us) if teacher else None,
        faster_end_to_end=(
            _ratio(teacher.end_to_end_us, timings.end_to_end_us) if teacher else None
        ),
    )


def _ratio(slow_us: NDArray[np.float64], fast_us: NDArray[np.float64]) -> _Ratio | None:
    found = speedup(slow_us, fast_us)
    return (found.median, found.low, found.high) if found else None


def _timing(median: _Median) -> Timing:
    return Timing(
        model_us=median.model_us,
        end_to_end_us=median.end_to_end_us,
        faster_model=Speedup(*median.faster_model) if median.faster_model else None,
        faster_end_to_end=Speedup(*median.faster_end_to_end) if median.faster_end_to_end else None,
    )
