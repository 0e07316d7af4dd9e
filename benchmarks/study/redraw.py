"""The pictures of a finished study, drawn again from its study.csv: no artifact is needed.

python -m benchmarks.study.redraw FOLDER
"""

import dataclasses
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from benchmarks.study.accuracy_latency import draw_picture
from benchmarks.study.metrics import ACCURACY, score_text
from benchmarks.study.results import Result, Scored, Timing
from benchmarks.study.statistics import MEAN, Figures, Key
from benchmarks.study.study_plan import STUDY_FILE, Study, make_plan, read_study
from benchmarks.study.summary import Entry, summarise
from decant.runtime.ending import exit_on_error
from decant.runtime.errors import UserError
from decant.runtime.params_file import read_params_file

TABLE = "study.csv"
_SCORES = ["validation_score", "test_score"]


@click.command("redraw")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--study", "file", type=click.Path(path_type=Path), default=STUDY_FILE)
@click.option("--params", type=click.Path(path_type=Path), default=Path("params.yaml"))
def redraw_command(folder: Path, file: Path, params: Path) -> None:
    """Draw the pictures of the study.csv in FOLDER into the same folder."""
    study = read_study(file)
    entries = stored_entries(folder, study, read_params_file(params))
    draw_picture(folder, entries, bounds=study.latency_bounds)


def stored_entries(folder: Path, study: Study, params: Mapping[str, Any]) -> dict[str, list[Entry]]:
    """What the picture shows of the models in study.csv, per data set and for the mean.

    The study defines which model represents a variant and which are controls. There are no
    intervals: these need the answers row by row.

    Raises UserError without the table, and for a variant that the study lacks.
    """
    if not (folder / TABLE).is_file():
        raise UserError(f"no {TABLE} in {folder}", code="file-missing", hint="name its folder")
    rows = _read(folder / TABLE)
    names = list(dict.fromkeys(rows["data"]))
    factors = dict(zip(rows["variant"], rows["factor"], strict=True))
    variants = [name for name in factors if name]
    plan = make_plan(study, params, data=names, variants=variants)
    known = {
        name: dataclasses.replace(plan.variants[name], factor=factors[name])
        for name in variants
        if name in plan.variants
    }
    plan = dataclasses.replace(plan, variants=known)
    figures = {name: _figures(rows[rows["data"] == name], 1) for name in names}
    if len(names) > 1 and rows["metric"].nunique() == 1:
        figures[MEAN] = _figures(rows, len(names))
    return summarise(plan, [_result(row) for row in rows.to_dict("records")], figures)


def _read(file: Path) -> pd.DataFrame:
    """With the scores in columns of one name, and their metric, also of accuracy."""
    rows = pd.read_csv(file).fillna({"variant": ""})
    first = next(name for name in rows.columns if name.startswith("validation_"))
    metric = first.removeprefix("validation_")
    names = {f"{split}_{metric}": f"{split}_score" for split in ("validation", "test")}
    return rows.rename(columns=names).assign(metric=rows.get("metric", ACCURACY))


def _figures(rows: pd.DataFrame, data_sets: int) -> dict[Key, Figures]:
    """Of the models that so many data sets have."""
    found: dict[Key, Figures] = {}
    metric = score_text(rows["metric"].iloc[0])
    for key, own in rows.groupby(["variant", "model"], sort=False):
        if own["data"].nunique() < data_sets:
            continue
        seeds = own.groupby("seed", dropna=False)[_SCORES].mean()
        validation, test = (seeds[name] for name in _SCORES)
        variant, model = map(str, key)
        found[variant, model] = Figures(
            metric=metric,
            seeds=tuple(int(seed) for seed in seeds.index.dropna()),
            score=float(test.mean()),
            score_interval=None,
            validation=float(validation.mean()),
            spread=float(test.std()) if len(seeds) > 1 else None,
            validation_spread=float(validation.std()) if len(seeds) > 1 else None,
            difference=None,
            difference_interval=None,
            validation_difference=None,
            validation_interval=None,
            retention=None,
            retention_interval=None,
            retention_spread=None,
        )
    return found


def _result(row: Mapping[Hashable, Any]) -> Result:
    """Without the answers: the table has only their means."""
    no_answers = Scored(targets={}, known={})
    end_to_end = row["end_to_end_latency_us"]
    timing = Timing(
        model_us=None if np.isnan(row["model_latency_us"]) else row["model_latency_us"],
        end_to_end_us=end_to_end,
        faster_model=None,
        faster_end_to_end=None,
    )
    return Result(
        data=row["data"],
        variant=row["variant"],
        seed=None if np.isnan(row["seed"]) else int(row["seed"]),
        model=row["model"],
        validation=no_answers,
        test=no_answers,
        size_bytes=row["size_bytes"],
        timing=None if np.isnan(end_to_end) else timing,
    )


if __name__ == "__main__":
    with exit_on_error():
        redraw_command()
