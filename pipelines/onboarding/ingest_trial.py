"""Ingest's own reading, checks and splits on proposed parameters, without writing anything."""

from collections.abc import Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from components.ingest.contract import Params
from components.ingest.corpus_files import rows_per_label
from components.ingest.step import prepare_rows
from decant.data.corpus import LABELLED_SPLITS, SPLITS
from decant.runtime.reporter import Reporter
from decant.runtime.settings import parse
from decant.tables import table_engine


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What ingest would make of the data.

    Attributes:
        rows: of all files.
        splits: rows per split.
        classes: rows per label and labelled split, in their order; of several targets TARGET.LABEL.
        rejected: rows per kind of reason, the most frequent first.
        contradictions: rejected duplicates whose label differs from the row that is kept.
    """

    rows: int
    splits: Mapping[str, int]
    classes: Mapping[str, Mapping[str, int]]
    rejected: Mapping[str, int]
    contradictions: int


def try_ingest(section: Mapping[str, Any], root: Path) -> Trial:
    """Raises UserError where ingest would, so that the written parameters can run."""
    params = parse(Params, section, "ingest")
    reporter = Reporter(step="ingest", console=Console(quiet=True))
    with chdir(root), table_engine() as engine:  # relative paths are the parameters' own
        targets = prepare_rows(engine, params, reporter)
        counts = {target.name: rows_per_label(engine, target) for target in targets}
        sizes = dict(engine.all("SELECT split, count(*) FROM live GROUP BY split"))
        kinds = engine.all("SELECT kind, count(*) FROM rejected GROUP BY kind ORDER BY 2 DESC, 1")
        ((rows,),) = engine.all("SELECT count(*) FROM rows")
        ((contradictions,),) = engine.all(
            "SELECT count(*) FROM rejected WHERE contains(reason, ', whose label is ')"
        )
    return Trial(
        rows=rows,
        splits={split: sizes.get(split, 0) for split in SPLITS},
        classes={
            f"{target.name}.{label}" if len(targets) > 1 else label: {
                split: counts[target.name].get((label, split), 0) for split in LABELLED_SPLITS
            }
            for target in targets
            for label in target.labels or ()
        },
        rejected=dict(kinds),
        contradictions=contradictions,
    )
