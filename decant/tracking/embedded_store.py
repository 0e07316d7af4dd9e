"""The embedded store's file is made whole or not at all.

MLflow makes its tables one by one, and for good refuses a file that has only some of them, as a
killed process would leave it.
"""

import glob
import os
from pathlib import Path

from decant.runtime.litter import mark, sweep
from decant.tracking.sqlite_address import sqlite_uri


def make_store(file: Path) -> None:
    """Make an SQLite file with MLflow's tables, unless there is one.

    Of several processes at once one makes it. Raises what MLflow and the file system raise.
    """
    if file.exists():
        return
    from mlflow.tracking import MlflowClient

    file.parent.mkdir(parents=True, exist_ok=True)
    name = glob.escape(file.name)
    sweep(file.parent.glob(f".{name}.new-*"))
    partial = file.with_name(f".{file.name}.new-{mark()}")
    try:
        MlflowClient(sqlite_uri(partial)).search_experiments(max_results=1)
        _give_name(partial, file)
    finally:
        for left in (partial, *file.parent.glob(f".{name}.new-{mark()}-*")):  # SQLite's journal
            left.unlink(missing_ok=True)


def _give_name(partial: Path, file: Path) -> None:
    """Never over another process's file, which may have runs already."""
    try:
        os.link(partial, file)
    except FileExistsError:
        return
    except OSError:  # a disk without links
        if not file.exists():
            partial.rename(file)
