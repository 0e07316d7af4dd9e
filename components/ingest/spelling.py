"""One spelling per value, and which characters are no text: SQL that says so."""

from decant.tables import literal

# White space as Python's str.split knows it: Unicode's, and the separators of ASCII.
_BLANKS = "".join(
    map(
        chr,
        [*range(0x09, 0x0E), *range(0x1C, 0x21), 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)]
        + [0x2028, 0x2029, 0x202F, 0x205F, 0x3000],
    )
)
_BLANK_CLASS = "".join(f"\\x{{{ord(blank):x}}}" for blank in _BLANKS)
# Letters that are drawn as nothing: fillers of Hangul, and the empty pattern of Braille.
_INVISIBLE = r"\x{115f}\x{1160}\x{3164}\x{ffa0}\x{2800}"
_NO_TEXT = rf"[\p{{Cc}}\p{{Cf}}\p{{Z}}\p{{M}}{_BLANK_CLASS}{_INVISIBLE}]*"


def stripped(text: str) -> str:
    """The text without white space at its ends."""
    return f"trim({text}, {literal(_BLANKS)})"


def has_text(text: str) -> str:
    """Whether there is a character to read: not only white space, control or combining ones."""
    return f"NOT regexp_full_match({text}, {literal(_NO_TEXT)})"


def spelled(value: str) -> str:
    """A class or a group in its one spelling; NULL for an empty one.

    1.0 and 1 are 1, 1.50 is 1.5, and True and TRUE are true, in whatever format they came.
    """
    cell = stripped(value)
    decimal = literal(r"-?(0|[1-9][0-9]*)\.[0-9]+")
    number = f"rtrim(rtrim({cell}, '0'), '.')"
    return (
        f"CASE WHEN {cell} = '' THEN NULL "
        f"WHEN regexp_full_match({cell}, {decimal}) "
        f"THEN CASE WHEN {number} = '-0' THEN '0' ELSE {number} END "
        f"WHEN {cell} = '-0' THEN '0' "
        f"WHEN lower({cell}) IN ('true', 'false') THEN lower({cell}) ELSE {cell} END"
    )


def text_key(text: str) -> str:
    """The same number for texts that differ only in case and white space: their md5."""
    spaced = rf" $|^ |  |[{_BLANK_CLASS.replace(chr(92) + 'x{20}', '')}]"
    blanks = literal(f"[{_BLANK_CLASS}]+")
    return (
        f"md5_number(lower(upper(CASE WHEN regexp_matches({text}, {literal(spaced)}) "
        f"THEN trim(regexp_replace({text}, {blanks}, ' ', 'g')) ELSE {text} END)))"
    )
