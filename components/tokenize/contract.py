"""The contract of tokenize: its parameters, what it reads and what it writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from decant.runtime.settings import settings


@settings
class Params:
    """How texts are cut and how many go through the tokenizer at once. See params.yaml."""

    max_length_tokens: Annotated[int, Field(ge=3, le=8192)]
    batch_size_rows: Annotated[int, Field(ge=1, le=1_000_000)]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The corpus with its splits, and the encoder, whose tokenizer is used."""

    corpus: Path
    encoder: Path


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Token ids per split, the tokenizer, and the vocabulary with its counts."""

    tokens: Path
