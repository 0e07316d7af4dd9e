"""What is done of a study and what remains, for --dry-run."""

from collections import Counter
from collections.abc import Mapping

from benchmarks.study.finished_runs import Store
from benchmarks.study.study_plan import CHAIN, Plan
from benchmarks.study.tasks import Task, Work
from decant.runtime.errors import UserError
from decant.runtime.reporter import Reporter


def show_queue(plan: Plan, work: Work, store: Store, reporter: Reporter) -> None:
    """A line per variant and data set with the state of each seed, then the steps by kind."""
    done = {task for task in work.tasks if is_done(store, task)}
    rows = []
    for variant in plan.variants.values():
        for data in plan.data:
            runs = [run for run in plan.runs if (run.variant, run.data) == (variant.name, data)]
            states = [_state(work.chains[run], done) for run in runs]
            rows.append((variant.name, variant.factor, data, *states))
    reporter.table(
        f"{len(plan.runs)} runs",
        ("variant", "factor", "data", *(f"seed {seed}" for seed in plan.seeds)),
        rows,
    )
    total = Counter(task.step for task in work.tasks)
    finished = Counter(task.step for task in done)
    reporter.table(
        "distinct steps",
        ("step", "done", "to do"),
        [(step, finished[step], total[step] - finished[step]) for step in CHAIN],
    )


def is_done(store: Store, task: Task) -> bool:
    """False also where a source cannot be found: running the task reports why."""
    try:
        return store.outputs(task) is not None
    except UserError:
        return False


def _state(chain: Mapping[str, Task], done: set[Task]) -> str:
    left = [step for step, task in chain.items() if task not in done]
    return f"{left[0]} next" if left else "done"
