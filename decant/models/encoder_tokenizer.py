"""The tokenizer of an encoder's folder: read, or made from a vocabulary of an older form."""

import inspect
import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from decant.models._json_object import json_object
from decant.runtime.errors import UserError

TOKENIZER, SPECIAL_TOKENS = "tokenizer.json", "special_tokens_map.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
SPECIALS = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
_ADDED_TOKENS = "added_tokens.json"
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

    A copy where the source has one that knows its added_tokens.json. A WordPiece vocabulary whose
    folder does not say whether its text is lower-cased keeps the case if it has capital letters.

    Raises UserError when no tokenizer can be read or made.
    """
    file = source / TOKENIZER
    if not file.is_file():
        tokenizer, facts = _made(source)
        tokenizer.save(str(target / TOKENIZER))
        return facts
    tokenizer = read_tokenizer_file(file)
    if added := _add_tokens(tokenizer, source):
        tokenizer.save(str(target / TOKENIZER))
        return [f"{', '.join(added)} of {_ADDED_TOKENS} added to {TOKENIZER}"]
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
    tokenizer = _auto_tokenizer(folder)
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
    if vocabulary in _SENTENCEPIECE and find_spec("sentencepiece") is None:
        raise UserError(
            f"{folder / vocabulary} is read by the package sentencepiece, which is not installed",
            code="package-missing",
            hint=f"pip install 'sentencepiece<0.2.2', or give a folder with a {TOKENIZER}",
        )
    made = _auto_tokenizer(folder)
    fact = f"{TOKENIZER} made from {vocabulary}"
    if "do_lower_case" in inspect.signature(type(made).__init__).parameters:
        lower_cased, reason = _casing(folder, made)
        made = _auto_tokenizer(folder, do_lower_case=lower_cased)
        fact += f": {'text is lower-cased' if lower_cased else 'case is kept'}, {reason}"
    tokenizer: Tokenizer = made.backend_tokenizer
    _add_tokens(tokenizer, folder)
    return tokenizer, [fact]


def _casing(folder: Path, made: Any) -> tuple[bool, str]:
    """Whether text is lower-cased, and the reason in words."""
    file = folder / TOKENIZER_CONFIG
    says = json_object(file).get("do_lower_case") if file.is_file() else None
    if says is not None:
        return bool(says), f"as {file.name} says"
    # Special tokens and names in brackets, such as [CLS] and [unused1], are no text.
    pieces = sorted(made.get_vocab().keys() - set(made.all_special_tokens))
    cased = (piece for piece in pieces if piece[:1] not in "[<" and piece != piece.lower())
    if (capital := next(cased, None)) is None:
        return True, "since no piece has a capital letter"
    return False, f"since pieces have capital letters, such as {capital}"


def _auto_tokenizer(folder: Path, **options: bool) -> Any:
    from transformers import AutoTokenizer

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, use_fast=True, trust_remote_code=False, **options
        )
        json.loads(tokenizer.backend_tokenizer.to_str())
    except Exception as error:
        raise UserError(
            f"no fast tokenizer can be made from {folder}: {error}",
            code="tokenizer-invalid",
            hint="save it with AutoTokenizer.from_pretrained(...).save_pretrained(folder)",
        ) from None
    return tokenizer


def _add_tokens(tokenizer: Tokenizer, folder: Path) -> list[str]:
    """Add the tokens of added_tokens.json that the tokenizer does not take whole; which they were.

    Raises UserError when one has another id than the file says.
    """
    file = folder / _ADDED_TOKENS
    listed = json_object(file) if file.is_file() else {}
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    for token in sorted(listed, key=listed.__getitem__):
        if token not in known:
            tokenizer.add_tokens([AddedToken(token, normalized=False)])
        if tokenizer.token_to_id(token) != listed[token]:
            raise UserError(
                f"{file} gives {token} the id {listed[token]}, but in the tokenizer it has the id "
                f"{tokenizer.token_to_id(token)}",
                code="tokenizer-mismatch",
                hint="save it with AutoTokenizer.from_pretrained(...).save_pretrained(folder)",
            )
    return [token for token in listed if token not in known]


def _named(tokens: dict[str, int]) -> str:
    names = sorted(tokens, key=tokens.__getitem__)
    more = f" and {len(names) - _NAMED_TOKENS} more" if len(names) > _NAMED_TOKENS else ""
    return ", ".join(f"{name} ({tokens[name]})" for name in names[:_NAMED_TOKENS]) + more
