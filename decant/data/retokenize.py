"""Token rows in another tokenizer's ids: a student's pruned vocabulary, or another encoder's."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders

from decant.data.pieces import (
    added_tokens,
    bytes_of_letters,
    is_byte_level,
    piece_ids,
    pieces_of,
    read_tokenizer,
)
from decant.data.tokens import TokenRows
from decant.runtime.errors import UserError

Json = Mapping[str, Any]
Row = NDArray[np.int32]

_ABSENT = -1
_BATCH_ROWS = 10_000  # of texts in memory at once


class Retokenizer:
    """Says rows of one tokenizer in another one's ids.

    Where the target has a part of the source's pieces, a row whose pieces are all kept has the same
    pieces there, and of another row only the words that lost a piece are split again: the result is
    what the target makes of the text itself. Any other target reads the text that the row spells.
    That is the text as the source's normalizer left it, such as lower-cased, and with a space
    between the words of a WordPiece vocabulary; an unknown word stays unknown.

    Args:
        source: tokenizer.json of the rows.
        target: tokenizer.json whose ids are wanted.

    Raises UserError when the target has no token for masked words, which rows may have.
    """

    def __init__(self, source: Path, target: Path) -> None:
        old, new = read_tokenizer(source), read_tokenizer(target)
        known = {**piece_ids(new), **added_tokens(new)}
        self.same = (
            old["model"] == new["model"]
            and _reads_alike(old, new)
            and all(known.get(token) == index for token, index in added_tokens(old).items())
        )
        if self.same:
            return
        self._rows: _FewerPieces | _OtherVocabulary = (
            _FewerPieces(old, new, Tokenizer.from_file(str(target)))
            if _is_part(new, old)
            else _OtherVocabulary(source, target, old, new)
        )

    def rows(self, rows: TokenRows) -> TokenRows:
        """The same rows and labels in the target's ids, cut where the target cuts."""
        return rows if self.same else TokenRows.of(self._rows.of(rows), rows.labels)


class _FewerPieces:
    """The target is the source with fewer pieces."""

    def __init__(self, old: Json, new: Json, tokenizer: Tokenizer) -> None:
        self._pieces = pieces_of(old)
        self._starts = self._pieces.begins | self._pieces.alone
        known = {**piece_ids(new), **added_tokens(new)}
        self._direct = np.full(len(self._pieces.surfaces), _ABSENT, dtype=np.int32)
        for piece, index in {**piece_ids(old), **added_tokens(old)}.items():
            self._direct[index] = known.get(piece, _ABSENT)
        self._tokenizer, self._model = tokenizer, tokenizer.model
        truncation = new.get("truncation")
        self._max_length = int(truncation["max_length"]) if truncation else None
        self._unknown = new["model"].get("unk_id")  # of a Unigram model
        self._words: dict[tuple[int, ...], list[int]] = {}

    def of(self, rows: Iterable[Row]) -> Iterator[Row]:
        return map(self._row, rows)

    def _row(self, row: Row) -> Row:
        direct = self._direct[row]
        if (direct == _ABSENT).any():
            direct = np.array(self._split_again(row.tolist()), dtype=np.int32)
        if self._max_length and len(direct) > self._max_length:
            direct = np.concatenate([direct[: self._max_length - 1], direct[-1:]])
        return direct

    def _split_again(self, row: Sequence[int]) -> list[int]:
        result: list[int] = []
        start = 0
        while start < len(row):
            end = start + 1
            while end < len(row) and not (
                self._starts[row[end]] or self._pieces.alone[row[end - 1]]
            ):
                end += 1
            word = self._word(tuple(row[start:end]))
            # Unigram takes unknown characters side by side for one.
            is_joined = self._joins(row[start]) and word[:1] == [self._unknown] == result[-1:]
            result += word[1:] if is_joined else word
            start = end
        return result

    def _joins(self, piece: int) -> bool:
        """Whether the piece stands within a word, as an unknown character always does."""
        return not self._pieces.begins[piece] or self._direct[piece] == self._unknown

    def _word(self, pieces: tuple[int, ...]) -> list[int]:
        if pieces not in self._words:
            direct = self._direct[list(pieces)]
            if (direct == _ABSENT).any():
                parts = self._parts("".join(self._pieces.surfaces[piece] for piece in pieces))
                tokens = [token for part in parts for token in self._model.tokenize(part)]
                self._words[pieces] = [token.id for token in tokens]
            else:
                self._words[pieces] = direct.tolist()
        return self._words[pieces]

    def _parts(self, surface: str) -> list[str]:
        """What the model sees one by one: a pre-tokenizer sets apart more than the marks say."""
        text = surface
        if self._pieces.byte_level:
            text = bytes_of_letters(surface).decode("utf-8", errors="replace")
        pre_tokenizer = self._tokenizer.pre_tokenizer
        parts = [part for part, _ in pre_tokenizer.pre_tokenize_str(text)] if pre_tokenizer else []
        # It may add a space in front, or the row was cut within a character.
        return parts if "".join(parts) == surface else [surface]


class _OtherVocabulary:
    """The target reads the text of a row."""

    def __init__(self, source: Path, target: Path, old: Json, new: Json) -> None:
        self._source, self._target = (Tokenizer.from_file(str(file)) for file in (source, target))
        self._source.decoder = _decoder(old)
        self._target.no_padding()
        mask, old_mask = _mask(new), _mask(old)
        if old_mask and mask is None:
            raise UserError(
                f"{target} has no token for masked words, such as {old_mask} of {source}",
                code="tokenizer-mismatch",
                hint="take an encoder that was pretrained with masked tokens",
            )
        # An unknown word has no text. Where nothing is unknown to the target, it is left out.
        names = {old_mask: mask or "", _unknown(old): _unknown(new) or ""}
        self._names = {name: other for name, other in names.items() if name and name != other}

    def of(self, rows: Iterable[Row]) -> Iterator[Row]:
        remaining = iter(rows)
        while batch := [row[1:-1].tolist() for row in islice(remaining, _BATCH_ROWS)]:
            texts = self._source.decode_batch(batch, skip_special_tokens=False)
            for name, other in self._names.items():
                texts = [text.replace(name, other) for text in texts]
            for encoding in self._target.encode_batch_fast(texts):
                yield np.array(encoding.ids, dtype=np.int32)


def _reads_alike(one: Json, other: Json) -> bool:
    return all(one.get(name) == other.get(name) for name in ("normalizer", "pre_tokenizer"))


def _is_part(new: Json, old: Json) -> bool:
    """Whether `new` is `old` with fewer pieces."""
    if not _reads_alike(new, old) or new["model"]["type"] != old["model"]["type"]:
        return False
    content = ("vocab", "merges", "unk_id")
    settings = [
        {name: value for name, value in one["model"].items() if name not in content}
        for one in (new, old)
    ]
    return (
        settings[0] == settings[1]
        and piece_ids(new).keys() <= piece_ids(old).keys()
        and added_tokens(new).keys() == added_tokens(old).keys()
    )


def _decoder(tokenizer: Json) -> Any:
    """Puts pieces together again, also where the file has no decoder."""
    if tokenizer["model"]["type"] == "WordPiece":
        prefix = tokenizer["model"]["continuing_subword_prefix"]
        return decoders.WordPiece(prefix=prefix, cleanup=True)
    if is_byte_level(tokenizer):
        return decoders.ByteLevel()
    return decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])


def _mask(tokenizer: Json) -> str | None:
    names = (name for name in added_tokens(tokenizer) if name.strip("[]<>").lower() == "mask")
    return next(names, None)


def _unknown(tokenizer: Json) -> str | None:
    model = tokenizer["model"]
    if model["type"] != "Unigram":
        name: str | None = model.get("unk_token")
    else:
        name = None if model.get("unk_id") is None else model["vocab"][model["unk_id"]][0]
    return name if name in added_tokens(tokenizer) else None
