"""What all types of figures share: how they are validated, and intervals."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

T = TypeVar("T")

Interval = tuple[float, float]


def _without_null(schema: JsonDict) -> None:
    """None is never written, so the documentation does not list null."""
    choices = schema.pop("anyOf")
    assert isinstance(choices, list)
    (choice,) = (one for one in choices if one != {"type": "null"})
    assert isinstance(choice, dict)
    schema.update(choice)


# A key that is missing in the file without such a figure; other keys are null then.
LeftOut = Annotated[
    T | None, Field(exclude_if=lambda value: value is None, json_schema_extra=_without_null)
]


class FigureSet(BaseModel):
    """A part of the figures: frozen, strictly validated, each attribute documented below it."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
