"""Ingest's own reading, checks and splits on proposed parameters, without writing anything."""

from collections import Counter
from collections.abc import Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from components.ingest.duplicates import text_keys
from components.ingest.step import Params, prepare_rows
from decant.data.corpus import LABELLED_SPLITS, SPLITS
from decant.runtime.reporter import Reporter
from decant.runtime.settings import parse

__all__ = ["Trial", "text_keys", "try_ingest"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What ingest would make of the data.

    Attributes:
        rows: of all files.
        splits: rows per split.
        classes: rows per class and labelled split, in the order of the classes.
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
    with chdir(root):  # relative paths are the parameters', not this command's
        rows, labels = prepare_rows(params, Reporter(step="ingest", console=Console(quiet=True)))
    counts = rows.groupby(["label", "split"]).size()
    sizes = rows["split"].value_counts()
    kinds = Counter(rows["kind"].dropna())
    return Trial(
        rows=len(rows),
        splits={split: int(sizes.get(split, 0)) for split in SPLITS},
        classes={
            label: {split: int(counts.get((label, split), 0)) for split in LABELLED_SPLITS}
            for label in labels
        },
        rejected=dict(kinds.most_common()),
        contradictions=int(rows["reason"].str.contains(", whose label is '", na=False).sum()),
    )
