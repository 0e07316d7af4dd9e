"""A vocabulary from which a tokenizer is made: its file, and how it wants text to be read."""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from decant.runtime.errors import UserError

# Fewer pieces, or a single one, are somebody's additions, such as a name over an [unused] slot: a
# vocabulary with case has capitals in a tenth of its pieces or more, one of a language with accents
# has them in some per cent. BERT's own uncased one has neither in any of its 28,000.
_HABIT = 0.01
_NAMED_PIECES = 5
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def check_readable(file: Path) -> None:
    """Raises UserError for a vocabulary in text form that is not UTF-8, or has a mark before it."""
    content = file.read_bytes()
    if content.startswith(_BYTE_ORDER_MARK):
        raise UserError(
            f"{file} begins with a byte order mark (BOM), which would be part of its first piece",
            code="file-invalid",
            hint="save it as UTF-8 without a BOM",
        )
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"line {line} of {file} is not UTF-8: byte 0x{content[error.start]:02X}",
            code="encoding-not-utf8",
            hint="save it as UTF-8",
        ) from None


def lower_cases(pieces: Iterable[str]) -> tuple[bool, str]:
    """Whether these pieces want text in lower case, and the reason in words."""
    with_case = [piece for piece in pieces if piece.lower() != piece.upper()]
    capitals = [piece for piece in with_case if piece != piece.lower()]
    if not capitals:
        return True, "since no piece has a capital letter"
    share = f"{len(capitals)} of {len(with_case)} pieces"
    if _is_habit(capitals, with_case):
        return False, f"since {share} have capital letters, such as {min(capitals)}"
    return True, f"since capital letters are only in {share}: {_named(capitals)}"


def keeps_accents(pieces: Iterable[str]) -> tuple[bool, str]:
    """Whether accents and vowel signs are to be kept, and the reason, none when no piece has any.

    Without them BERT's own reading splits `ö` into `o` and a mark, which it drops: German, Hindi,
    Thai and Korean pieces are then never found.
    """
    # Han characters have no accents, so pieces of them alone say nothing.
    letters = [piece for piece in pieces if any(_may_have_marks(letter) for letter in piece)]
    marked = [piece for piece in letters if _without_marks(piece) != piece]
    share = f"{len(marked)} of {len(letters)} pieces"
    if _is_habit(marked, letters):
        return True, f"since {share} have them, such as {min(marked)}"
    return False, f"since they are only in {share}: {_named(marked)}" if marked else ""


def text_pieces(pieces: Iterable[str], special: Collection[str]) -> list[str]:
    """Those that stand for text: neither special nor a name in brackets such as [unused1]."""
    return sorted(piece for piece in set(pieces) - set(special) if piece[:1] not in "[<")


def _is_habit(pieces: Sequence[str], of: Sequence[str]) -> bool:
    return len(pieces) > 1 and len(pieces) >= _HABIT * len(of)


def _may_have_marks(letter: str) -> bool:
    """Marks themselves may."""
    if unicodedata.category(letter) == "Mn":
        return True
    return letter.isalpha() and not unicodedata.name(letter, "").startswith("CJK")


def _without_marks(text: str) -> str:
    """As BERT's normalizer strips accents."""
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(letter for letter in decomposed if unicodedata.category(letter) != "Mn")


def _named(pieces: Sequence[str]) -> str:
    names = sorted(pieces)
    more = f" and {len(names) - _NAMED_PIECES} more" if len(names) > _NAMED_PIECES else ""
    return ", ".join(names[:_NAMED_PIECES]) + more
