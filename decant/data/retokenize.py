"""Token rows in another tokenizer's ids: a student's pruned vocabulary, or another encoder's."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from decant.data.tokens import TokenRows
from decant.runtime.errors import UserError

_ABSENT = -1


class Retokenizer:
    """Puts the words of a row together again and splits them as the target tokenizer does.

    Special and other added tokens keep their names. Where the target has a part of the source's
    pieces, a row whose pieces are all kept is what the target would make of the text itself:
    WordPiece takes the longest known piece, and that one is kept.

    Args:
        source: tokenizer.json of the rows.
        target: tokenizer.json whose ids are wanted.

    Raises UserError when the two differ and are not both WordPiece, or the target lacks a token
    that was added to the source whole, such as [CLS] or <url>.
    """

    def __init__(self, source: Path, target: Path) -> None:
        old, new = _read(source), _read(target)
        added, known = _added(old), _ids(new)
        self.same = old["model"] == new["model"] and all(
            known.get(token) == index for token, index in added.items()
        )
        if self.same:
            return
        for file, content in ((source, old), (target, new)):
            if content["model"]["type"] != "WordPiece":
                raise UserError(
                    f"{file} is a {content['model']['type']} tokenizer: its words cannot be split "
                    "as another tokenizer splits them",
                    code="tokenizer-mismatch",
                    hint="take encoders that share one tokenizer, or WordPiece encoders",
                )
        tokenizer = Tokenizer.from_file(str(target))
        self._model = tokenizer.model
        truncation = new.get("truncation")
        self._max_length = int(truncation["max_length"]) if truncation else None
        prefix = old["model"]["continuing_subword_prefix"]
        vocabulary: dict[str, int] = old["model"]["vocab"]
        size = 1 + max(_ids(old).values())
        self._texts = [""] * size
        self._continues = np.zeros(size, dtype=bool)
        self._direct = np.full(size, _ABSENT, dtype=np.int32)
        pieces: dict[str, int] = new["model"]["vocab"]
        is_subset = set(pieces) <= set(vocabulary)
        for piece, index in vocabulary.items():
            self._continues[index] = piece.startswith(prefix)
            self._texts[index] = piece.removeprefix(prefix)
            if is_subset:
                self._direct[index] = pieces.get(piece, _ABSENT)
        for token, index in added.items():
            if token not in known:
                raise UserError(
                    f"{target} has no token {token}, which {source} has",
                    code="tokenizer-mismatch",
                    hint="take encoders whose tokenizers have the same added tokens",
                )
            self._direct[index] = known[token]
        self._words: dict[tuple[int, ...], list[int]] = {}

    def rows(self, rows: TokenRows) -> TokenRows:
        """The same rows and labels in the target's ids, cut where the target cuts."""
        if self.same:
            return rows
        return TokenRows.of((self._row(row) for row in rows), rows.labels)

    def _row(self, row: NDArray[np.int32]) -> NDArray[np.int32]:
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
            while end < len(row) and self._continues[row[end]]:
                end += 1
            result += self._word(tuple(row[start:end]))
            start = end
        return result

    def _word(self, pieces: tuple[int, ...]) -> list[int]:
        if pieces not in self._words:
            direct = self._direct[list(pieces)]
            if (direct == _ABSENT).any():
                text = "".join(self._texts[piece] for piece in pieces)
                self._words[pieces] = [token.id for token in self._model.tokenize(text)]
            else:
                self._words[pieces] = direct.tolist()
        return self._words[pieces]


def _added(content: dict[str, Any]) -> dict[str, int]:
    """Ids of the tokens that are taken whole; not all of them are pieces of the model."""
    return {token["content"]: token["id"] for token in content["added_tokens"]}


def _ids(content: dict[str, Any]) -> dict[str, int]:
    """Ids of the model's pieces and of the added tokens."""
    pieces: Any = content["model"]["vocab"]
    if isinstance(pieces, list):  # a unigram model's, each with its score
        pieces = {piece: index for index, (piece, _) in enumerate(pieces)}
    return {**pieces, **_added(content)}


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return content
