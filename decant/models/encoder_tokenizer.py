"""The tokenizer of an encoder's folder: read, or made from a vocabulary of an older form."""

import inspect
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from decant.models._auto_tokenizer import TOKENIZER_CONFIG, auto_tokenizer
from decant.models._json_object import json_object
from decant.models._tokenizer_statements import (
    SPECIAL_TOKENS,
    add_stated_tokens,
    config_of,
    follow_reading,
    stated_tokens,
)
from decant.models._vocabulary_file import (
    check_readable,
    keeps_accents,
    lower_cases,
    text_pieces,
)
from decant.runtime.errors import UserError

__all__ = [
    "SPECIALS",
    "SPECIAL_TOKENS",
    "TOKENIZER",
    "TOKENIZER_CONFIG",
    "VOCABULARIES",
    "check_embedded",
    "read_tokenizer_file",
    "special_tokens",
    "write_tokenizer",
]

TOKENIZER = "tokenizer.json"
SPECIALS = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
_SENTENCEPIECE = (
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
    "sentencepiece.model",
    "tokenizer.model",
)
# One of them suffices to make a fast tokenizer; merges.txt belongs to vocab.json.
VOCABULARIES = ("vocab.txt", "vocab.json", *_SENTENCEPIECE)
_NAMED_TOKENS = 5  # in an error


def read_tokenizer_file(file: Path) -> Tokenizer:
    """The tokenizer as saved. Raises UserError when its file cannot be read."""
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library has no narrower exception
        raise UserError(
            f"{file} is not a readable tokenizer: {error}",
            code="tokenizer-invalid",
            hint="save it with AutoTokenizer.from_pretrained(...).save_pretrained(folder)",
        ) from None


def write_tokenizer(source: Path, target: Path) -> list[str]:
    """Write tokenizer.json into `target`; what was decided on the way, in sentences.

    A copy where the source has one and its other files say nothing else. Where they do, they
    count, as for transformers. A vocabulary whose folder does not say whether its text is
    lower-cased and loses its accents says so itself, by its pieces.

    Raises UserError when no tokenizer can be read or made.
    """
    file = source / TOKENIZER
    if not file.is_file():
        tokenizer, facts = _made(source)
        tokenizer.save(str(target / TOKENIZER))
        return facts
    tokenizer = read_tokenizer_file(file)
    if facts := [*follow_reading(tokenizer, source), *add_stated_tokens(tokenizer, source)]:
        tokenizer.save(str(target / TOKENIZER))
        return facts
    (target / TOKENIZER).write_bytes(file.read_bytes())
    return []


def special_tokens(folder: Path) -> dict[str, str]:
    """The five special tokens by name, or fewer.

    From the folder's files, or, where these lack one, the defaults of its architecture.
    """
    tokens: dict[str, str] = {}
    for name in (TOKENIZER_CONFIG, SPECIAL_TOKENS):
        if (folder / name).is_file():
            for key, value in json_object(folder / name).items():
                content = value.get("content") if isinstance(value, dict) else value
                if key in SPECIALS and isinstance(content, str):
                    tokens[key] = content
    if len(tokens) == len(SPECIALS):
        return tokens
    tokenizer = auto_tokenizer(folder)
    return {name: str(token) for name in SPECIALS if (token := getattr(tokenizer, name))}


def check_embedded(tokenizer: Tokenizer, rows: int, folder: Path) -> None:
    """Raises UserError, naming them, when pieces of the tokenizer have no embedding.

    More embeddings than pieces are usual: tables are padded.
    """
    beyond = {token: index for token, index in tokenizer.get_vocab().items() if index >= rows}
    if beyond:
        raise UserError(
            f"the tokenizer of {folder} has token ids up to {max(beyond.values())}, but the "
            f"encoder has embeddings for {rows} tokens; without one: {_named(beyond)}",
            code="tokenizer-mismatch",
            hint="give the encoder that was trained with this tokenizer, or resize its embeddings: "
            "model.resize_token_embeddings(len(tokenizer))",
        )


def _made(folder: Path) -> tuple[Tokenizer, list[str]]:
    vocabulary = next((name for name in VOCABULARIES if (folder / name).is_file()), "")
    if vocabulary not in _SENTENCEPIECE:
        check_readable(folder / vocabulary)
    elif find_spec("sentencepiece") is None:
        raise UserError(
            f"{folder / vocabulary} is read by the package sentencepiece, which is not installed",
            code="package-missing",
            hint=f"pip install 'sentencepiece<0.2.2', or give a folder with a {TOKENIZER}",
        )
    stated_tokens(folder)  # refuses what transformers would refuse less clearly
    made = auto_tokenizer(folder)
    options, reasons = _reading(made, config_of(folder))
    if options:
        made = auto_tokenizer(folder, **options)
    tokenizer: Tokenizer = made.backend_tokenizer
    add_stated_tokens(tokenizer, folder)
    fact = f"{TOKENIZER} made from {vocabulary}"
    return tokenizer, [f"{fact}: {'; '.join(reasons)}" if reasons else fact]


def _reading(made: Any, config: dict[str, Any]) -> tuple[dict[str, bool], list[str]]:
    """How the class is to treat case and accents, where it can be told, and why in words."""
    options: dict[str, bool] = {}
    reasons: list[str] = []
    parameters = inspect.signature(type(made).__init__).parameters
    pieces = text_pieces(made.get_vocab(), made.all_special_tokens)
    if "do_lower_case" in parameters:
        lower_cased, reason = lower_cases(pieces)
        if config.get("do_lower_case") is not None:
            lower_cased, reason = config["do_lower_case"], f"as {TOKENIZER_CONFIG} says"
        options["do_lower_case"] = lower_cased
        reasons.append(f"{'text is lower-cased' if lower_cased else 'case is kept'}, {reason}")
        if lower_cased:  # others are never found
            pieces = [piece for piece in pieces if piece == piece.lower()]
    # BERT's kind keeps accents with the case, unless it is told; ALBERT's only where it is told.
    for key, keep in (("strip_accents", False), ("keep_accents", True)):
        if key in parameters and config.get(key) is None and (keep or options.get("do_lower_case")):
            kept, reason = keeps_accents(pieces)
            options |= {key: keep} if kept else {}
            if reason:
                marks = "accents and vowel signs are" + ("" if kept else " not")
                reasons.append(f"{marks} kept, {reason}")
    return options, reasons


def _named(tokens: dict[str, int]) -> str:
    names = sorted(tokens, key=tokens.__getitem__)
    more = f" and {len(names) - _NAMED_TOKENS} more" if len(names) > _NAMED_TOKENS else ""
    return ", ".join(f"{name} ({tokens[name]})" for name in names[:_NAMED_TOKENS]) + more
