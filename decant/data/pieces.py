"""What the pieces of a tokenizer spell, and which of them begin a word, from its tokenizer.json.

WordPiece marks the pieces within a word (`##ing`). A Metaspace pre-tokenizer marks those that begin
one with `▁`, a ByteLevel pre-tokenizer with `Ġ`; there every letter of a piece stands for a byte.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SPACE_OF_BYTES = "Ġ"
_METASPACE = "▁"
_BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """All pieces of a vocabulary, by id.

    Attributes:
        surfaces: as the tokenizer's model reads them, without the mark of WordPiece; "" for an
            added token.
        begins: (V,) bool, the mark says that a word begins here. All, where nothing is marked.
        alone: (V,) bool, added tokens such as [CLS], and pieces that stand for a byte of an unknown
            character (`<0xE4>`): nothing is joined with them.
        marks_beginnings: a mark says where a word begins after a space; otherwise the pieces within
            a word have the mark.
        byte_level: a letter of a surface stands for a byte.
    """

    surfaces: list[str]
    begins: NDArray[np.bool_]
    alone: NDArray[np.bool_]
    marks_beginnings: bool
    byte_level: bool

    def bytes_of(self, index: int) -> bytes:
        """The piece in UTF-8, with its mark as a space; at its ends a character may be cut."""
        surface = self.surfaces[index]
        if self.byte_level:
            return bytes_of_letters(surface)
        return surface.replace(_METASPACE, " ").encode()


def read_tokenizer(file: Path) -> dict[str, Any]:
    """The content of a tokenizer.json."""
    content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return content


def pieces_of(tokenizer: Mapping[str, Any]) -> Pieces:
    """The pieces of a tokenizer.json.

    Args:
        tokenizer: its content.
    """
    ids, added = piece_ids(tokenizer), added_tokens(tokenizer)
    prefix = tokenizer["model"].get("continuing_subword_prefix") or ""
    byte_level = is_byte_level(tokenizer)
    mark = _SPACE_OF_BYTES if byte_level else _METASPACE if _has_metaspace(tokenizer) else ""
    size = 1 + max((*ids.values(), *added.values()))
    surfaces = [""] * size
    begins, alone = np.ones(size, dtype=bool), np.ones(size, dtype=bool)
    for piece, index in ids.items():
        surfaces[index] = piece.removeprefix(prefix)
        begins[index] = not piece.startswith(prefix) if prefix else piece.startswith(mark)
        alone[index] = _BYTE_PIECE.fullmatch(piece) is not None
    for index in added.values():
        surfaces[index], begins[index], alone[index] = "", True, True
    return Pieces(
        surfaces=surfaces,
        begins=begins,
        alone=alone,
        marks_beginnings=bool(mark) and not prefix,
        byte_level=byte_level,
    )


def piece_ids(tokenizer: Mapping[str, Any]) -> dict[str, int]:
    """Ids of the pieces of the model; added tokens need not be among them."""
    pieces: Any = tokenizer["model"]["vocab"]
    if isinstance(pieces, list):  # a unigram model's, each with its score
        return {piece: index for index, (piece, _) in enumerate(pieces)}
    return dict(pieces)


def added_tokens(tokenizer: Mapping[str, Any]) -> dict[str, int]:
    """Ids of the tokens that are taken whole, such as [CLS] or <url>."""
    return {token["content"]: token["id"] for token in tokenizer["added_tokens"]}


def is_byte_level(tokenizer: Mapping[str, Any]) -> bool:
    """Whether the letters of the pieces stand for bytes."""
    return "ByteLevel" in {part["type"] for part in _parts(tokenizer.get("pre_tokenizer"))}


def bytes_of_letters(surface: str) -> bytes:
    """The bytes that the letters of a byte-level piece stand for; other letters in UTF-8."""
    table = _byte_of_letter()
    return b"".join(
        bytes([table[letter]]) if letter in table else letter.encode() for letter in surface
    )


@cache
def _byte_of_letter() -> dict[str, int]:
    """GPT-2's table: a printable byte stands for itself, the others follow from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(0x100 + number): byte for number, byte in enumerate(others)
    }


def _has_metaspace(tokenizer: Mapping[str, Any]) -> bool:
    """Set by a pre-tokenizer, or by a normalizer that puts the mark in place of spaces."""
    return any(
        part["type"] == "Metaspace" or _METASPACE in (part.get("prepend"), part.get("content"))
        for name in ("pre_tokenizer", "normalizer")
        for part in _parts(tokenizer.get(name))
    )


def _parts(component: Any) -> Iterator[Mapping[str, Any]]:
    """A normalizer or pre-tokenizer, or those of a sequence."""
    if component is None:
        return
    yield component
    for name in ("normalizers", "pretokenizers"):
        for part in component.get(name, ()):
            yield from _parts(part)
