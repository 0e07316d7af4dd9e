"""Pieces of one character."""

from collections.abc import Iterable, Mapping


def letters(texts: Mapping[int, str], kept: Iterable[int]) -> set[int]:
    """Ids of the pieces of one character that is ASCII or occurs in a kept piece.

    Args:
        texts: the pieces by id, without marks.
    """
    known = set("".join(texts.get(index, "") for index in kept))
    return {
        index
        for index, text in texts.items()
        if len(text) == 1 and (text.isascii() or text in known)
    }


def byte_pieces(ids: Mapping[str, int]) -> set[int]:
    """Ids of the pieces that stand for the bytes of characters without a piece, `<0x00>` on."""
    return {ids[piece] for byte in range(0x100) if (piece := f"<0x{byte:02X}>") in ids}
