"""A JSON file of an encoder."""

from pathlib import Path
from typing import Any

from decant.runtime.artifacts import read_json
from decant.runtime.errors import UserError


def json_object(file: Path) -> dict[str, Any]:
    """Its content. Raises UserError when it is not a JSON object."""
    try:
        content = read_json(file)
    except ValueError as error:
        raise UserError(f"{file} is not valid JSON: {error}", code="file-invalid") from None
    if not isinstance(content, dict):
        raise UserError(f"{file} is not a JSON object", code="file-invalid")
    return content
