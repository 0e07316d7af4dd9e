"""The commands that attacks kill, each with the check of what it leaves."""

import shutil
import sqlite3
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from decant.runtime.identity import content_digest
from decant.runtime.steps import STEPS, artifact_folder, load_step
from tests.chaos.command import environment
from tests.chaos.unharmed import Unharmed, tracking_of
from tests.integration.checkout import fresh_environment, make_checkout, write_absolute

WHOLE = ("dvc repro", "decant run")
_UNREGISTERED = "register.enabled=false"


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command line, where it runs, and where it writes.

    Attributes:
        cpu_seconds: what it takes without harm.
        home: the folder of its cache and its temporary files.
        whole: what its results are compared with.
    """

    words: list[str]
    folder: Path
    given: dict[str, str]
    cpu_seconds: float
    home: Path
    whole: Unharmed

    def wrong(self) -> str:
        """What is wrong with its results, and what it has left behind; empty when nothing is."""
        raise NotImplementedError

    def litter(self) -> str:
        """In the cache and the folder for temporary files; what every run leaves there is none."""
        usual = {path.name for path in (self.whole.root / "tmp").iterdir()}
        partial = [*self.home.glob("cache/**/.*.*"), *self.home.glob("cache/checkpoints/*")]
        left = partial + [one for one in (self.home / "tmp").iterdir() if one.name not in usual]
        return "; ".join(f"{path.relative_to(self.home)} is left behind" for path in left)


@dataclass(frozen=True, kw_only=True)
class StepAlone(Command):
    """`python -m components STEP`."""

    step: str

    def wrong(self) -> str:
        found = [self.whole.difference(self.step, self.folder / "outputs")]
        if self.step == "register" and (count := _versions(self.home / "mlflow.db")) != 1:
            found.append(f"{count} versions are registered")
        return _joined([*found, self.litter()])


@dataclass(frozen=True, kw_only=True)
class WholeFlow(Command):
    """`dvc repro` or `decant run`, which register nothing."""

    def wrong(self) -> str:
        roots = list(self.folder.glob("runs/*")) or [self.folder]
        if len(roots) > 1:
            return f"{len(roots)} runs: {', '.join(root.name for root in roots)}"
        found = [_difference(self.whole, roots[0]), self.litter()]
        hidden = [*roots[0].glob(".kfp"), *roots[0].glob("artifacts/.[!g]*")]
        return _joined([*found, *(f"{path.name} is left behind" for path in hidden)])


def step_alone(step: str, whole: Unharmed, own: Path, **given: str) -> StepAlone:
    """Its outputs are in `own`/outputs."""
    outputs = own / "outputs"
    outputs.mkdir()
    return StepAlone(
        words=whole.words(step, outputs),
        folder=own,
        given=environment(own, **tracking_of(step), **given),
        cpu_seconds=whole.cpu_seconds[step],
        home=own,
        step=step,
        whole=whole,
    )


def template_checkout(folder: Path, whole: Unharmed) -> Path:
    """A checkout in which nothing was reproduced yet."""
    home = folder / "home"
    home.mkdir()
    params = whole.read_params()
    params["register"]["enabled"] = False
    return make_checkout(folder, params, fresh_environment(home), write_absolute)


def whole_flow(name: str, whole: Unharmed, own: Path, checkout: Path, **given: str) -> WholeFlow:
    """In `own`, or in a copy of the checkout there."""
    variables = environment(own, **given)
    if name == "dvc repro":
        folder = own / "checkout"
        shutil.copytree(checkout, folder)
        words = ["dvc", "repro"]
        variables |= {"DVC_SITE_CACHE_DIR": str(own / "site"), "DVC_NO_ANALYTICS": "1"}
        del variables["PYTHONPATH"]
    else:
        folder = own / "work"
        folder.mkdir()
        words = [sys.executable, "-m", "pipelines", "run", f"--params={whole.params}"]
        words.append(f"--set={_UNREGISTERED}")
    return WholeFlow(
        words=words,
        folder=folder,
        given=variables,
        cpu_seconds=sum(whole.cpu_seconds.values()),
        home=own,
        whole=whole,
    )


def _difference(whole: Unharmed, root: Path) -> str:
    """Between the unharmed artifacts and those of a flow."""
    found = []
    for step in STEPS:
        for port in load_step(step).output_ports:
            folder = root / artifact_folder(port)
            if not folder.is_dir():
                found.append(f"{port} is missing")
            elif port in whole.digests and content_digest(folder) != whole.digests[port]:
                found.append(f"{port} is not as without harm")
    return "; ".join(found)


def _versions(store: Path) -> int:
    if not store.is_file():
        return 0
    with closing(sqlite3.connect(store)) as connection:
        return int(connection.execute("select count(*) from model_versions").fetchone()[0])


def _joined(found: Iterable[str]) -> str:
    return "; ".join(one for one in found if one)
