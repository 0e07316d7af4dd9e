"""The tokenizer of a folder as transformers reads it."""

import json
import os
from pathlib import Path
from typing import Any

from decant.models._json_object import json_object
from decant.runtime.errors import UserError

TOKENIZER_CONFIG = "tokenizer_config.json"


def auto_tokenizer(folder: Path, **options: bool) -> Any:
    """The fast tokenizer that transformers makes of all the folder's files.

    Raises UserError when it makes none.
    """
    from transformers import AutoTokenizer

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, use_fast=True, trust_remote_code=False, **options
        )
        json.loads(tokenizer.backend_tokenizer.to_str())
    except Exception as error:
        _refuse_python_only(folder)
        raise UserError(
            f"no fast tokenizer can be made from {folder}: {error}",
            code="tokenizer-invalid",
            hint="save it with AutoTokenizer.from_pretrained(...).save_pretrained(folder)",
        ) from None
    return tokenizer


def _refuse_python_only(folder: Path) -> None:
    """Raises UserError for a class that is no fast one, whatever packages were installed."""
    import transformers

    for file in (folder / TOKENIZER_CONFIG, folder / "config.json"):
        name = json_object(file).get("tokenizer_class") if file.is_file() else None
        found = getattr(transformers, name, None) if isinstance(name, str) else None
        if isinstance(found, type):
            if not issubclass(found, transformers.PreTrainedTokenizerFast):
                raise UserError(
                    f"{folder} has a {name}, as {file.name} says, which is Python only: no "
                    "tokenizer.json can be made from it",
                    code="tokenizer-unsuitable",
                    hint="give an encoder with a fast tokenizer; for text without blanks between "
                    "words one with SentencePiece, such as hf://FacebookAI/xlm-roberta-base",
                )
            return
