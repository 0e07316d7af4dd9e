"""Run a version's pipeline again: its commit in a worktree, its parameters, `dvc repro`."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from decant.runtime.errors import UserError
from decant.runtime.identity import PROJECT
from decant.runtime.steps import steps_behind
from pipelines.reproduction.checkout import PARAMS, absent, changed_params, committed, git
from pipelines.reproduction.dvc_config import write_dvc_config
from pipelines.reproduction.lock_file import LOCK, lock_of
from pipelines.reproduction.version_lineage import Lineage

LAST_STAGE = "evaluate"  # register would make one more version
# Run in a checkout of any commit. Decant 0.1 had the module at another place; the present one would
# be found too, where Decant is installed, and would digest the present code.
_CODE_DIGESTS = """
import json, sys
from importlib import import_module
from pathlib import Path

place = "decant.runtime" if Path("decant/runtime").is_dir() else "components.shared"
code_digest = import_module(f"{place}.identity").code_digest
print(json.dumps({step: code_digest(step) for step in sys.argv[1:]}))
"""


def check_out(lineage: Lineage, folder: Path) -> Path:
    """A worktree of the version's commit with the parameters and local data of its run.

    An existing worktree is used again, so that an interrupted rebuild continues. Returns the
    project's folder in it.

    Raises UserError when the commit is unknown or missing, the folder is in use, or the version was
    made from code that was not committed.
    """
    _require_commit(lineage)
    _require_vouched_code(lineage)
    project = _add_worktree(lineage, folder)
    _require_same_code(lineage, project)
    _write_params(lineage, project)
    _write_lock(lineage, project)
    _bring_local_data(project)
    return project


def rebuild(project: Path, *, from_cache: bool) -> None:
    """`dvc repro` of all stages before register, not tracked; its output goes to the terminal.

    Args:
        from_cache: take outputs from this checkout's DVC cache and its remote, and run the rest;
            else run every stage.

    Raises UserError when a stage failed.
    """
    config = write_dvc_config(PROJECT / ".dvc", project / ".dvc")
    try:
        _dvc(project, "config", "--local", "core.no_scm", "true")
        if from_cache:
            cache = _dvc(PROJECT, "cache", "dir", captured=True).strip()
            _dvc(project, "cache", "dir", "--local", cache)
        options = [] if from_cache else ["--force"]
        if from_cache and _has_remote(project):
            options += ["--pull"] if _pull(project) else []
        _dvc(project, "repro", *options, LAST_STAGE)
    finally:
        config.unlink(missing_ok=True)  # it has the remotes' credentials, and the worktree stays


def remove(folder: Path) -> None:
    git("worktree", "remove", "--force", str(folder.resolve()))


def _require_commit(lineage: Lineage) -> None:
    if not lineage.commit:
        raise UserError(
            f"{lineage.name}/{lineage.version} has no record of its commit",
            code="commit-unknown",
            hint="it was made outside a git repository, or by another program",
        )
    if problem := absent(lineage.commit):
        raise problem


def _add_worktree(lineage: Lineage, folder: Path) -> Path:
    inside = git("rev-parse", "--show-prefix").stdout.decode().strip()
    if folder.is_file():
        raise UserError(
            f"{folder} is a file",
            code="output-taken",
            hint="give a new folder, or a worktree",
        )
    if folder.exists() and any(folder.iterdir()):
        there = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "--show-toplevel", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.splitlines()
        if there != [str(folder.resolve()), lineage.commit]:
            raise UserError(
                f"{folder} is not a worktree of commit {lineage.commit}",
                code="output-taken",
                hint="give another --folder, or remove it",
            )
    else:
        git("worktree", "prune")
        git("worktree", "add", "--detach", str(folder.resolve()), lineage.commit)
    return folder.resolve() / inside


def _require_vouched_code(lineage: Lineage) -> None:
    """For a dirty checkout only the runs show whether the code was the commit's."""
    vouched = {run.step for run in lineage.steps if run.code}
    unknown = [step for step in steps_behind("register") if step not in vouched]
    if lineage.dirty and unknown:
        raise UserError(
            f"{lineage.name}/{lineage.version} was made with files that differed from commit "
            f"{lineage.commit[:12]}, and no run is left that shows whether they were the code of "
            f"{', '.join(unknown)}",
            code="code-uncommitted",
            hint="that code cannot be verified: register a version from a clean checkout",
        )


def _require_same_code(lineage: Lineage, project: Path) -> None:
    recorded = {run.step: run.code for run in lineage.steps if run.code}
    recorded.pop("register", None)
    done = subprocess.run(
        [sys.executable, "-c", _CODE_DIGESTS, *recorded],
        cwd=project,
        env=_environment(project),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UserError(
            f"commit {lineage.commit} cannot be run with this environment: "
            f"{(done.stderr.strip().splitlines() or ['no message'])[-1]}",
            code="environment-mismatch",
            hint="install that commit's requirements.lock and run `reproduce` there",
        )
    found: Mapping[str, str] = json.loads(done.stdout)
    if other := [step for step, digest in recorded.items() if found[step] != digest]:
        raise UserError(
            f"{lineage.name}/{lineage.version} was made from other code than that of commit "
            f"{lineage.commit[:12]}: {', '.join(other)}",
            code="code-uncommitted",
            hint="the changes were not committed, so they cannot be restored",
        )


def _write_params(lineage: Lineage, project: Path) -> None:
    """The commit's params.yaml with the values that differed; its comments are kept."""
    changes = changed_params(lineage)
    if not changes:
        return
    yaml = YAML()
    file = project / PARAMS
    content = yaml.load(committed(lineage.commit, PARAMS))
    for path, value in changes.items():
        *sections, key = path.split(".")
        place: Any = content
        for section in sections:
            place = place[section]
        place[key] = value
    yaml.dump(content, file)


def _write_lock(lineage: Lineage, project: Path) -> None:
    """Write which outputs to take, once: an interrupted rebuild has its own dvc.lock."""
    params = YAML(typ="safe").load((project / PARAMS).read_text("utf-8"))
    file = project / LOCK
    present = file.read_bytes() if file.is_file() else None
    if present != committed(lineage.commit, LOCK):
        return
    if content := lock_of(lineage.commit, params):
        file.write_bytes(content)


def _bring_local_data(project: Path) -> None:
    """Files of ingest's folders that are not in git: linked, or copied."""
    section = YAML(typ="safe").load((project / PARAMS).read_text("utf-8"))["ingest"]
    for key in ("local_corpus", "local_encoder"):
        place = Path(section[key])
        ours, theirs = PROJECT / place, project / place
        if place.is_absolute() or not ours.exists():
            continue
        files = [ours] if ours.is_file() else [file for file in ours.rglob("*") if file.is_file()]
        for file in files:
            target = theirs / file.relative_to(ours) if ours.is_dir() else theirs
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, target)


def _has_remote(project: Path) -> bool:
    return bool(_dvc(project, "remote", "list", captured=True).strip())


def _pull(project: Path) -> bool:
    """Whether the remote answered; what it lacks is run."""
    pulled = ("pull", "--allow-missing", "--with-deps", LAST_STAGE)
    return _run_dvc(project, *pulled, captured=False).returncode == 0


def _run_dvc(project: Path, *arguments: str, captured: bool) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=project,
        env=_environment(project),
        stdout=subprocess.PIPE if captured else None,
        text=True,
        check=False,
    )


def _dvc(project: Path, *arguments: str, captured: bool = False) -> str:
    done = _run_dvc(project, *arguments, captured=captured)
    if done.returncode:
        raise UserError(
            f"dvc {' '.join(arguments)} failed in {project}",
            code="command-failed",
            hint="its message is above; run `reproduce` again to continue",
        )
    return done.stdout or ""


def _environment(project: Path) -> dict[str, str]:
    """That commit's code, this environment's packages, and no tracking."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("DVC_EXP_NAME", "MLFLOW_RUN_ID", "DECANT_COMMIT", "KFP_RUN_ID")
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    return environment | {"PATH": path, "PYTHONPATH": str(project), "DECANT_TRACKING": "off"}
