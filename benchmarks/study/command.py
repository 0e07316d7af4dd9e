"""decant study: one factor at a time around the default, with every control."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click
from filelock import FileLock, Timeout

from benchmarks.study.study_plan import STUDY_FILE, Plan, make_plan, read_study
from benchmarks.study.tasks import Work, plan_work
from benchmarks.study.threads import available_cores
from decant.runtime.errors import UserError
from decant.runtime.params_file import read_params_file
from decant.runtime.reporter import Reporter

if TYPE_CHECKING:
    from benchmarks.study.finished_runs import Store

PAGE = "study.md"


@click.command("study")
@click.option(
    "--study",
    "file",
    type=click.Path(path_type=Path),
    default=STUDY_FILE,
    help="Seeds, data sets and variants; benchmarks/study/default.yaml by default.",
)
@click.option(
    "--params",
    type=click.Path(path_type=Path),
    default=Path("params.yaml"),
    show_default=True,
    help="The default that the variants change.",
)
@click.option("--data", multiple=True, help="A data set of the study; repeatable. Else all.")
@click.option("--variant", "variants", multiple=True, help="Beside the default; repeatable.")
@click.option("--seeds", help="Such as 13,14,15; those of the study by default.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Steps in parallel.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Of each step; by default as before in this folder, else an equal share of the cores. "
    "What was finished with another number is not taken.",
)
@click.option(
    "--max-share-of-teacher-latency",
    "bounds",
    multiple=True,
    help="Such as 1/50; repeatable. Else the study's latency_bounds.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("studies"),
    show_default=True,
    help="Folder for artifacts, table and picture.",
)
@click.option("--dry-run", is_flag=True, help="Show what is done and what remains.")
@click.option("--report-only", is_flag=True, help="Train nothing: a table of what is there.")
def study_command(
    file: Path,
    params: Path,
    data: tuple[str, ...],
    variants: tuple[str, ...],
    seeds: str | None,
    jobs: int,
    threads: int | None,
    bounds: tuple[str, ...],
    output: Path,
    dry_run: bool,
    report_only: bool,
) -> None:
    """Train each variant of a study file, then measure all and compare.

    Interrupt it at any time: the next call continues where this one stopped. Writes study.md,
    study.csv and accuracy_latency.png into the output folder. Each data set is judged by the
    metric of its task.
    """
    study = read_study(file)
    plan = make_plan(
        study,
        read_params_file(params),
        data=data,
        variants=variants,
        seeds=_seeds(seeds) if seeds else (),
    )
    shares = [_share(bound) for bound in bounds] or study.latency_bounds
    reporter = Reporter(step="study")
    threads = threads or _threads(output, jobs, reporter)
    if plan.same_as_default:
        reporter.message(f"the default itself, left out: {', '.join(plan.same_as_default)}")
    with _ended_cleanly():
        if dry_run:
            _show(plan, output, threads, reporter)
        else:
            failures = run_study(
                plan,
                output,
                jobs=0 if report_only else jobs,
                threads=threads,
                bounds=shares,
                reporter=reporter,
            )
            if failures:
                raise UserError(
                    _failed(failures),
                    code="study-failed",
                    hint="fix the cause and run the study again",
                )


def run_study(
    plan: Plan,
    output: Path,
    *,
    jobs: int,
    threads: int,
    bounds: Sequence[float],
    reporter: Reporter,
) -> dict[str, str]:
    """Train what is missing, measure all, write table and picture.

    Args:
        jobs: parallel processes; 0 trains nothing.
        threads: of each. What another number has made is named, not used.
        bounds: shares of the teacher's latency below which the best is named.

    Returns the message of each run that failed, by the run's name.
    Raises UserError when another study is writing into the folder, or nothing can be compared.
    """
    from benchmarks.study.accuracy_latency import draw_picture
    from benchmarks.study.finished_runs import Store
    from benchmarks.study.measure import evaluate_params, measure_study
    from benchmarks.study.model2vec_control import require_model2vec
    from benchmarks.study.results import write_results
    from benchmarks.study.statistics import study_figures
    from benchmarks.study.summary import summarise
    from benchmarks.study.table import study_page
    from benchmarks.study.together import together_or_alone
    from benchmarks.study.trainings import run_tasks

    if plan.study.model2vec is not None:
        require_model2vec()
    work, store = plan_work(plan.runs), Store(output, threads=threads)
    _name_other_threads(work, store, reporter)
    with _alone_in(output):
        failed = run_tasks(work.tasks, store, jobs=jobs, reporter=reporter) if jobs else {}
        failures = {
            str(run): failed[task]
            for run, chain in work.chains.items()
            if (task := chain["export_onnx"]) in failed
        }
        measured = measure_study(plan, work, store, output, reporter)
        failures |= {str(run): message for run, message in measured.problems.items()}
        how = evaluate_params(plan, plan.data[0])
        drawn = {"samples": how.bootstrap_samples, "seed": how.seed}
        figures = study_figures(measured.results, **drawn)
        entries = summarise(plan, measured.results, figures)
        factors = {variant.name: variant.factor for variant in plan.variants.values()}
        write_results(output, measured.results, factors)
        draw_picture(output, entries, bounds=bounds)
        page = study_page(
            plan,
            entries,
            measured.results,
            together=together_or_alone(measured.results, **drawn),
            bounds=bounds,
            failures=failures,
            samples=how.bootstrap_samples,
            texts=how.latency_texts,
            threads=how.threads,
        )
        (output / PAGE).write_text(page, "utf-8")
    reporter.message(f"table and picture: {output / PAGE}")
    return failures


def _threads(output: Path, jobs: int, reporter: Reporter) -> int:
    """What was begun goes on with its number, whatever --jobs is: with another all is made anew."""
    from benchmarks.study.finished_runs import threads_before

    share = max(1, available_cores() // jobs)
    before = threads_before(output)
    if before not in (None, share):
        reporter.message(
            f"each step has {before} threads, as those before in {output}; an equal share of the "
            f"cores is {share}: --threads {share} makes all anew with it"
        )
    return before or share


def _name_other_threads(work: Work, store: "Store", reporter: Reporter) -> None:
    for number, done in store.finished_with_others(work.tasks).items():
        reporter.warning(
            f"{done} steps are finished with {number} threads each, and are not used with "
            f"{store.threads}, whose results are others: --threads {number} goes on with them"
        )


def _show(plan: Plan, output: Path, threads: int, reporter: Reporter) -> None:
    from benchmarks.study.finished_runs import Store
    from benchmarks.study.work_queue import show_queue

    work: Work = plan_work(plan.runs)
    store = Store(output, threads=threads)
    _name_other_threads(work, store, reporter)
    show_queue(plan, work, store, reporter)


@contextmanager
def _alone_in(output: Path) -> Iterator[None]:
    output.mkdir(parents=True, exist_ok=True)
    lock = FileLock(output / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            f"another study writes into {output}",
            code="folder-busy",
            hint="wait for it, or give --output",
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _ended_cleanly() -> Iterator[None]:
    """SIGTERM ends as Ctrl-C does: processes end, and one line explains how to continue."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        click.echo("interrupted; the same command continues from here", err=True)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _seeds(text: str) -> list[int]:
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(
            f"--seeds {text}: not whole numbers", code="option-value", hint="--seeds 13,14"
        ) from None
    if len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise UserError(
            f"--seeds {text}: each must be 0 or more, and none may be listed twice",
            code="option-value",
        )
    return seeds


def _share(text: str) -> float:
    try:
        share = float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        share = 0.0
    if not 0 < share <= 1:
        raise UserError(
            f"--max-share-of-teacher-latency {text} is not a share above 0 and up to 1",
            code="option-value",
            hint="write it as 1/50 or 0.02",
        )
    return share


def _failed(failures: dict[str, str]) -> str:
    """Each cause once, with the runs that it stopped."""
    runs: dict[str, list[str]] = {}
    for run, message in failures.items():
        runs.setdefault(message, []).append(run)
    lines = [f"{'; '.join(names)}:\n  {message}" for message, names in runs.items()]
    return "\n".join([f"{len(failures)} runs failed", *lines])
