"""What a step reads of an artifact: a sound file, or one message that names the damaged one.

The runner compares every file with its card before a step runs. This is for what no digest tells:
artifacts from before there were digests, and files that were written so.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from decant.runtime.artifacts import read_json
from decant.runtime.errors import UserError
from decant.runtime.system_errors import as_user_error

T = TypeVar("T")
_SHOWN = 300  # characters of what a library says


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Raises UserError that names the file in place of what a library says of it."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # each library has its own for a damaged file
        if problem := as_user_error(error):
            raise problem from None
        said = " ".join(f"{type(error).__name__}: {error}".split())[:_SHOWN]
        raise damaged(file, f"cannot be read ({said})") from None


def read_fields(kind: type[T], file: Path) -> T:
    """A dataclass from its JSON file.

    Raises UserError where a field is missing, unknown or of another type than the class says, or a
    number is not finite.
    """
    return fields_of(kind, read_object(file), file)


def read_object(file: Path) -> dict[str, Any]:
    """Raises UserError when the file is not a JSON object of finite numbers."""
    with reading(file):
        content = read_json(file)
        json.dumps(content, allow_nan=False)
    if not isinstance(content, dict):
        raise damaged(file, "is not a JSON object")
    return content


def fields_of(kind: type[T], content: object, file: Path) -> T:
    """As `read_fields`, of what was read of the file."""
    from pydantic import TypeAdapter  # the base installation has none, and reads no artifact

    with reading(file):
        return TypeAdapter(kind).validate_json(json.dumps(content, allow_nan=False), strict=True)


def damaged(file: Path, problem: str) -> UserError:
    """The error of a file that is not as its step writes it; `problem` follows its name."""
    return UserError(
        f"{file} {problem}",
        code="artifact-damaged",
        hint="run the step that writes it again, or `dvc repro`",
    )
