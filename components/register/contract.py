"""The contract of register: its parameters, what it reads and what it writes."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from decant.runtime.settings import settings

VARYING = frozenset({"receipt"})  # has a run id and a version number


def _allowed_alias(alias: str | None) -> str | None:
    if alias is not None and (alias.lower() == "latest" or re.fullmatch(r"[vV]\d+", alias)):
        raise ValueError("`latest` and `v1`, `v2`, ... are reserved by MLflow")
    return alias


@settings
class Params:
    """Whether, where and under which name a model is registered. See params.yaml."""

    enabled: bool
    in_experiments: bool
    strict: bool
    name: Annotated[str, Field(pattern=r"^[\w\-. ]+$", max_length=200)]
    alias: Annotated[
        str | None, Field(pattern=r"^[\w\-]+$", max_length=255), AfterValidator(_allowed_alias)
    ]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The exported models, and evaluate's figures, verdict and report."""

    onnx: Path
    evaluation: Path
    report: Path


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The receipt: what was registered, or why nothing was."""

    receipt: Path
