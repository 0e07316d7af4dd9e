"""The measuring phase: all models of all data sets, one after the other, when training is done."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.study.controls import Control, fit_controls
from benchmarks.study.finished_runs import Store
from benchmarks.study.results import Result
from benchmarks.study.scores import Rows, control_result, measure_runs
from benchmarks.study.study_plan import DEFAULT, Plan, Run
from benchmarks.study.tasks import Work
from benchmarks.study.timing import measure_times, warn_if_busy
from benchmarks.study.work_queue import is_done
from components.evaluate.contract import Params
from decant.runtime.errors import UserError
from decant.runtime.params_file import section_of
from decant.runtime.reporter import Reporter
from decant.runtime.settings import parse


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Results in the order of the data sets, and the message of each run that was left out."""

    results: list[Result]
    problems: Mapping[Run, str]


def evaluate_params(plan: Plan, data: str) -> Params:
    """How a data set's models are measured: the section `evaluate` of its default."""
    run = next(run for run in plan.runs if (run.data, run.variant) == (data, DEFAULT))
    return parse(Params, section_of(run.params, "evaluate", Params), "evaluate")


def measure_study(
    plan: Plan, work: Work, store: Store, folder: Path, reporter: Reporter
) -> Measured:
    """Measure every finished run, and the controls of every data set that has a corpus.

    Args:
        folder: of the study; what is measured is kept in logits/, latency/ and model2vec/.

    Raises UserError when no run of any data set has a corpus yet.
    """
    sources = {data: _sources(plan, work, store, data) for data in plan.data}
    corpora = {data: pair for data, pair in sources.items() if pair}
    if not corpora:
        raise UserError(
            "this study has no results yet", code="study-unfinished", hint="run it first"
        )
    rows = {data: Rows(corpus) for data, (corpus, _) in corpora.items()}
    found, problems = measure_runs(
        work,
        store,
        rows,
        batch_size=evaluate_params(plan, plan.data[0]).batch_size,
        cache=folder / "logits",
        reporter=reporter,
    )
    results: list[Result] = []
    controls: dict[str, list[Control]] = {}
    for data, (corpus, encoder) in corpora.items():
        reporter.message(f"{data}: controls")
        params = evaluate_params(plan, data)
        controls[data] = fit_controls(
            corpus,
            encoder,
            c_grid=params.tfidf_c_grid,
            seed=params.seed,
            model2vec=plan.study.model2vec,
            cache=folder / "model2vec",
        )
        results += [result for result in found if result.data == data]
        results += [control_result(data, control, rows[data]) for control in controls[data]]
    warn_if_busy(reporter)
    timed: list[Result] = []
    for data in corpora:
        timed += measure_times(
            [result for result in results if result.data == data],
            controls[data],
            rows[data].texts["test"],
            evaluate_params(plan, data),
            file=folder / "latency" / f"{data}.json",
            reporter=reporter,
        )
    return Measured(results=timed, problems=problems)


def _sources(plan: Plan, work: Work, store: Store, data: str) -> tuple[Path, Path] | None:
    """Corpus and encoder of the data set's default; None when they are missing."""
    for run in plan.runs:
        task = work.chains[run]["ingest"]
        if (run.data, run.variant) == (data, DEFAULT) and is_done(store, task):
            return store.path(task, "corpus"), store.path(task, "encoder")
    return None
