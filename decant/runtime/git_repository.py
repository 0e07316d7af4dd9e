"""git in the project's folder: what it refuses is an error with its own sentence and what helps."""

import os
import subprocess
from functools import cache

from decant.runtime import identity
from decant.runtime.errors import UserError

_UNTRUSTED = "dubious ownership"
_NO_REPOSITORY = "not a git repository"


def git(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """Run it; its code is the caller's to look at. Raises UserError where there is no git."""
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=identity.PROJECT,
            env={**os.environ, "LC_ALL": "C"},  # its sentences are looked at
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise UserError(
            f"git cannot be run: {error.strerror}", code="program-missing", hint="install git"
        ) from None


def refusal(done: "subprocess.CompletedProcess[bytes]") -> UserError:
    """What a git that failed says, and what helps."""
    said = done.stderr.decode(errors="replace").strip()
    lines = said.splitlines() or [f"it ended with code {done.returncode}"]
    first = next((line for line in lines if line.startswith("fatal:")), lines[0])
    problem = f"git {done.args[1]} failed: {first.removeprefix('fatal: ')}"
    if _UNTRUSTED in said:
        folder = first.rpartition(" at ")[2].strip("'")
        return UserError(
            problem,
            code="repository-untrusted",
            hint="the folder belongs to another user; trust it: git config --global --add "
            f"safe.directory {folder or identity.PROJECT}",
        )
    if _NO_REPOSITORY in said:
        return UserError(
            f"{problem} ({identity.PROJECT})",
            code="repository-missing",
            hint="work in a clone, since an archive has no commits, or set DECANT_COMMIT to the "
            "commit that the files are of",
        )
    if "bad revision 'HEAD'" in said or "does not have any commits" in said:
        return UserError(problem, code="repository-missing", hint="commit the files first")
    return UserError(problem, code="command-failed", hint=f"run it by hand in {identity.PROJECT}")


def is_shallow() -> bool:
    """Whether the clone lacks the commits before some depth."""
    return git("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"


def git_commit() -> str:
    """The checkout's commit, with `-dirty` where files differ; DECANT_COMMIT inside an image.

    `unknown` where git gives none; `commit_problem` says why.
    """
    return _commit()[0]


def commit_problem() -> UserError | None:
    """Why this checkout's commit is not known; None when it is."""
    return _commit()[1]


@cache
def _commit() -> tuple[str, UserError | None]:
    if commit := os.environ.get("DECANT_COMMIT"):
        return commit, None
    try:
        done = git("describe", "--always", "--dirty", "--abbrev=40", "--match=")
    except UserError as error:
        return "unknown", error
    if done.returncode:
        return "unknown", refusal(done)
    return done.stdout.decode().strip(), None
