"""The author of a decision, its time, and its checkout."""

import getpass
import os
from datetime import UTC, datetime

from decant.runtime.git_repository import git_commit


def author() -> str:
    """DECANT_USER, such as in a CI job, else the name of the account."""
    if name := os.environ.get("DECANT_USER"):
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in containers
        return f"uid {os.getuid()}"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def commit_here() -> str:
    return git_commit()
