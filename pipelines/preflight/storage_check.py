"""DVC's remote, and free space on the disks."""

from pathlib import Path
from typing import Any

import psutil

from decant.runtime.cache_folder import cache_folder
from pipelines.preflight.check_result import Result

LOW_GIGABYTES = 10.0  # environment, encoder, teacher logits and artifacts of a few runs
TOO_LOW_GIGABYTES = 1.0


def check_dvc_remote(project: Path) -> Result:
    """The default remote (else the only one) must answer and have the outputs in dvc.lock.

    Raises what DVC and the remote's file system raise.
    """
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    name = "DVC remote"
    try:
        repo = Repo(str(project))
    except NotDvcRepoError:
        return Result(name=name, status="skipped", detail=f"{project} is not a DVC project")
    with repo:
        remotes = list(repo.config["remote"])
        if not remotes:
            return Result(name=name, status="skipped", detail="none is set up")
        default = repo.config["core"].get("remote")
        if not default and len(remotes) > 1:
            return Result(
                name=name,
                status="warning",
                detail=f"none of {', '.join(remotes)} is the default",
                hint="dvc remote default NAME",
            )
        chosen = default or remotes[0]
        store = repo.cloud.get_remote_odb(chosen)
        _reach(store)
        wanted = {out.hash_info.value for out in repo.index.outs if out.use_cache and out.hash_info}
        missing = [value for value in sorted(wanted) if not store.exists(value)]
    there = f"{chosen}: answers, has {len(wanted) - len(missing)} of {len(wanted)} outputs"
    if missing:
        return Result(name=name, status="warning", detail=there, hint=f"dvc push -r {chosen}")
    return Result(name=name, status="ok", detail=there)


def check_disk(folder: Path, name: str) -> Result:
    """Free space on the disk of a folder, which need not exist yet."""
    free = psutil.disk_usage(str(_existing(folder))).free / 1e9
    detail = f"{free:.1f} GB free at {folder}"
    hint = "free some space, or move it (DECANT_CACHE for the cache)"
    if free < TOO_LOW_GIGABYTES:
        return Result(name=name, status="failed", detail=detail, hint=hint)
    if free < LOW_GIGABYTES:
        return Result(name=name, status="warning", detail=detail, hint=hint)
    return Result(name=name, status="ok", detail=detail)


def check_disks(project: Path) -> list[Result]:
    return [
        check_disk(cache_folder(), "disk: cache"),
        check_disk(project, "disk: work folder"),
    ]


def _reach(store: Any) -> None:
    """Raises when the store cannot be reached; an empty one has no folder yet and is fine."""
    try:
        store.fs.info(store.path)
    except FileNotFoundError as error:
        if isinstance(error.__cause__, OSError):  # how fsspec's http reports a dead server
            raise error.__cause__ from None


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
