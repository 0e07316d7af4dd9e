"""What the files beside tokenizer.json say of the tokenizer, and that tokenizer.json may not.

transformers reads them all, so an encoder was trained with what they say together. But where they
say nothing, transformers goes by defaults of the tokenizer's class and tokenizer.json by its own
content; the latter counts here.
"""

import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import ByteLevel

from decant.models._auto_tokenizer import TOKENIZER_CONFIG, auto_tokenizer
from decant.models._json_object import json_object
from decant.runtime.errors import UserError

SPECIAL_TOKENS = "special_tokens_map.json"
_ADDED_TOKENS = "added_tokens.json"
_SAVE = "save it with AutoTokenizer.from_pretrained(...).save_pretrained(folder)"
# Keys of tokenizer_config.json, and what they are in BertNormalizer and ByteLevel.
_NORMALIZER = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
_PRE_TOKENIZER = {"add_prefix_space": "add_prefix_space"}
_READING = (*_NORMALIZER, *_PRE_TOKENIZER, "keep_accents")
# Shows case and accents.
_PROBE = "Àb"


def config_of(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json, or nothing.

    Raises UserError when what it says of case, accents and blanks is neither true nor false.
    """
    file = folder / TOKENIZER_CONFIG
    config = json_object(file) if file.is_file() else {}
    for key in _READING:
        if not isinstance(value := config.get(key), bool | None):
            raise UserError(
                f"{key} in {file} is {json.dumps(value)}, which is neither true nor false",
                code="file-invalid",
                hint=f"write true or false, without quotes, or leave {key} out",
            )
    return config


def follow_reading(tokenizer: Tokenizer, folder: Path) -> list[str]:
    """Let the tokenizer treat case, accents and blanks as tokenizer_config.json says.

    In place; what was changed, in sentences.

    Raises UserError when the two contradict each other in a way that cannot be changed.
    """
    config = config_of(folder)
    facts: list[str] = []
    for part, kind, keys in (
        ("normalizer", BertNormalizer, _NORMALIZER),
        ("pre_tokenizer", ByteLevel, _PRE_TOKENIZER),
    ):
        own = getattr(tokenizer, part)
        if not isinstance(own, kind):
            continue
        stated = [key for key in keys if key in config and config[key] != getattr(own, keys[key])]
        theirs = getattr(auto_tokenizer(folder).backend_tokenizer, part) if stated else None
        for key in stated:
            before, now = getattr(own, keys[key]), getattr(theirs, keys[key], None)
            if isinstance(theirs, kind) and now != before:
                setattr(own, keys[key], now)
                facts.append(
                    f"{key} is {json.dumps(now)}, as {TOKENIZER_CONFIG} says; tokenizer.json has "
                    f"{json.dumps(before)}"
                )
    if not isinstance(tokenizer.normalizer, BertNormalizer):
        _refuse_other_case(tokenizer, folder, config)
    return facts


def add_stated_tokens(tokenizer: Tokenizer, folder: Path) -> list[str]:
    """Let the tokenizer take the tokens whole that the folder's files name.

    In place; which were added, in sentences.

    Raises UserError when one has another id than its file says.
    """
    added: dict[str, list[str]] = defaultdict(list)
    known = {token.content: token for token in tokenizer.get_added_tokens_decoder().values()}
    for stated in stated_tokens(folder):
        token = stated.token
        before = known.get(token.content)
        if before is None or (stated.has_flags and before != token):
            known[token.content] = token
            tokenizer.add_tokens([token])
            added[stated.file.name].append(token.content)
        found = tokenizer.token_to_id(token.content)
        if stated.index is not None and found != stated.index:
            raise UserError(
                f"{stated.file} gives {token.content} the id {stated.index}, but in the tokenizer "
                f"it has the id {found}",
                code="tokenizer-mismatch",
                hint=_SAVE,
            )
    return [f"taken whole, as {name} says: {', '.join(names)}" for name, names in added.items()]


@dataclass(frozen=True, kw_only=True)
class StatedToken:
    """A token that a file names, its id where the file says it, and whether it says its flags."""

    token: AddedToken
    file: Path
    index: int | None = None
    has_flags: bool = False


def stated_tokens(folder: Path) -> list[StatedToken]:
    """In the order in which they are to be added: by id, then those without one.

    Raises UserError when a file does not name tokens as transformers writes them.
    """
    stated = [*_with_flags(folder), *_with_ids(folder), *_special(folder)]
    return sorted(stated, key=lambda one: (one.index is None, one.index or 0))


def _with_flags(folder: Path) -> Iterator[StatedToken]:
    """Those of added_tokens_decoder, which also says how the text around them is treated."""
    file = folder / TOKENIZER_CONFIG
    listed = config_of(folder).get("added_tokens_decoder") or {}
    for index, token in listed.items() if isinstance(listed, dict) else [("", listed)]:
        if not str(index).isdecimal() or not isinstance(token, dict):
            raise _malformed(file, "added_tokens_decoder", "an object of id and token")
        yield StatedToken(
            token=_token(file, "added_tokens_decoder", token),
            file=file,
            index=int(index),
            has_flags=True,
        )


def _with_ids(folder: Path) -> Iterator[StatedToken]:
    file = folder / _ADDED_TOKENS
    listed = json_object(file) if file.is_file() else {}
    for token, index in listed.items():
        if not isinstance(index, int) or isinstance(index, bool):
            raise UserError(
                f"{file} gives {token} the id {json.dumps(index)}, which is not a whole number",
                code="file-invalid",
                hint='write {"TOKEN": ID}, the id without quotes',
            )
        yield StatedToken(token=AddedToken(token, normalized=False), file=file, index=index)


def _special(folder: Path) -> Iterator[StatedToken]:
    """Of the two names that versions of transformers use; the first file that has any counts."""
    for name in (TOKENIZER_CONFIG, SPECIAL_TOKENS):
        content = json_object(folder / name) if (folder / name).is_file() else {}
        for key in ("extra_special_tokens", "additional_special_tokens"):
            if listed := content.get(key):
                tokens = list(listed.values()) if isinstance(listed, dict) else listed
                if not isinstance(tokens, list):
                    raise _malformed(folder / name, key, "a list of tokens")
                for token in tokens:
                    yield StatedToken(token=_token(folder / name, key, token), file=folder / name)
                return


def _token(file: Path, key: str, value: object) -> AddedToken:
    content = value.get("content") if isinstance(value, dict) else value
    if not isinstance(content, str) or not content:
        raise _malformed(file, key, "tokens that are texts")
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    said = {flag: value[flag] for flag in flags if flag in value} if isinstance(value, dict) else {}
    if not all(isinstance(flag, bool) for flag in said.values()):
        raise _malformed(file, key, "flags that are true or false")
    return AddedToken(content, **({} if isinstance(value, dict) else {"special": True}), **said)


def _malformed(file: Path, key: str, expected: str) -> UserError:
    return UserError(
        f"{key} in {file} is not what transformers writes: it has to be {expected}",
        code="file-invalid",
        hint=_SAVE,
    )


def _refuse_other_case(tokenizer: Tokenizer, folder: Path, config: dict[str, Any]) -> None:
    """Raises UserError where transformers treats case or accents otherwise by a stated key.

    Such a normalizer, SentencePiece's, is not one that a key could set.
    """
    stated = [key for key in ("do_lower_case", "keep_accents", "strip_accents") if key in config]
    if not stated:
        return
    try:
        theirs = auto_tokenizer(folder).backend_tokenizer
    except UserError:  # of a type that transformers cannot read: nobody reads it otherwise
        return
    found, expected = _normalized(tokenizer), _normalized(theirs)
    if found != expected:
        said = ", ".join(f"{key} {json.dumps(config[key])}" for key in stated)
        raise UserError(
            f"{TOKENIZER_CONFIG} in {folder} says {said}, by which transformers reads '{_PROBE}' "
            f"as '{expected}', but its tokenizer.json reads it as '{found}'",
            code="tokenizer-mismatch",
            hint=f"correct {TOKENIZER_CONFIG}, or {_SAVE}",
        )


def _normalized(tokenizer: Tokenizer) -> str:
    """The letters of the probe, composed, so that only case and accents count."""
    normalizer = tokenizer.normalizer
    text = unicodedata.normalize("NFC", normalizer.normalize_str(_PROBE) if normalizer else _PROBE)
    return "".join(letter for letter in text if letter.isalpha())
