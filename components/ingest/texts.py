"""Which texts are the same, and which characters are no text: SQL that says so."""

from decant.tables import literal
from decant.tasks.spelling import BLANKS

_BLANK_CLASS = "".join(f"\\x{{{ord(blank):x}}}" for blank in BLANKS)
# Letters that are drawn as nothing: fillers of Hangul, and the empty pattern of Braille.
_INVISIBLE = r"\x{115f}\x{1160}\x{3164}\x{ffa0}\x{2800}"
_NO_TEXT = rf"[\p{{Cc}}\p{{Cf}}\p{{Z}}\p{{M}}{_BLANK_CLASS}{_INVISIBLE}]*"


def has_text(text: str) -> str:
    """Whether there is a character to read: not only white space, control or combining ones."""
    return f"NOT regexp_full_match({text}, {literal(_NO_TEXT)})"


def text_key(text: str) -> str:
    """The same number for texts that differ only in case and white space: their md5."""
    spaced = rf" $|^ |  |[{_BLANK_CLASS.replace(chr(92) + 'x{20}', '')}]"
    blanks = literal(f"[{_BLANK_CLASS}]+")
    return (
        f"md5_number(lower(upper(CASE WHEN regexp_matches({text}, {literal(spaced)}) "
        f"THEN trim(regexp_replace({text}, {blanks}, ' ', 'g')) ELSE {text} END)))"
    )
