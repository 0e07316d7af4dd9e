"""A registered model on the command line: one way to name it in every command."""

import dataclasses
from collections.abc import Callable

import click

from decant.runtime.errors import UserError
from decant.tracking.model_reference import ModelReference, parse_model, parse_version

WHICH = "NAME/VERSION or NAME@ALIAS, also after `models:/`"


class _Argument(click.ParamType[ModelReference]):
    def __init__(self, name: str, parse: Callable[[str], ModelReference]) -> None:
        self.name = name
        self.parse = parse

    def convert(
        self,
        value: str | ModelReference,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> ModelReference:
        return value if isinstance(value, ModelReference) else self.parse(value)


MODEL = _Argument("model", parse_model)
VERSION = _Argument("version", parse_version)


def chosen(model: ModelReference, version: str | None, alias: str | None = None) -> ModelReference:
    """The model with what --version or --alias say.

    Raises UserError where the version is named more than once.
    """
    given = [one for one in (model.version, model.alias, version, alias) if one]
    if len(given) > 1:
        raise UserError(
            f"the version of {model.name} is named more than once: {', '.join(given)}",
            code="option-conflict",
            hint="give one of --model NAME/VERSION, --model NAME@ALIAS, --version, --alias",
        )
    return dataclasses.replace(model, version=version or model.version, alias=alias or model.alias)
