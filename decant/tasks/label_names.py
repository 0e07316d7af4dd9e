"""Class names as the pictures show them: cut, in fonts that have their letters, or as a number."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import regex
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from rich.cells import cell_len

from decant.tasks.report_parts import number_of

_DEFAULT_FAMILY = "DejaVu Sans"  # comes with matplotlib
_LAST_RESORT = "Last Resort High-Efficiency"  # a box for every character there is
_LONGEST_CELLS = 24  # a Chinese character takes two


@dataclass(frozen=True, kw_only=True)
class DrawnNames:
    """The classes' names for the pictures.

    Attributes:
        texts: per class, in the order of the labels.
        families: of fonts, which together have every character of the texts.
        numbered: indices of the classes whose text has a number, which a table has to explain.
    """

    texts: tuple[str, ...]
    families: tuple[str, ...]
    numbered: frozenset[int]


def drawn_names(labels: Sequence[str]) -> DrawnNames:
    """Cut long names; `#3` for the third where no installed font can draw it.

    Long names with the same beginning get the number behind it, and so does a name that looks like
    the number of another class. The number counts from 1.
    """
    lines = [" ".join(label.split()) for label in labels]
    families, missing = _families(set("".join(lines)) - {" "})
    cuts = [_cut(line) for line in lines]
    shown = Counter(cuts)
    texts, numbered = [], set()
    for index, (line, cut) in enumerate(zip(lines, cuts, strict=True)):
        number = number_of(index)
        if not line or missing.intersection(line):
            texts.append(number)
        elif shown[cut] > 1:
            texts.append(f"{cut} {number}")
        else:
            texts.append(cut)
            continue
        numbered.add(index)
    numbers = {texts[index] for index in numbered}
    for index in set(range(len(labels))) - numbered:
        if texts[index] in numbers:
            texts[index] = f"{texts[index]} {number_of(index)}"
            numbered.add(index)
    return DrawnNames(texts=tuple(texts), families=families, numbered=frozenset(numbered))


def _cut(line: str) -> str:
    """At most 24 columns wide, cut between what readers see as characters."""
    if cell_len(line) <= _LONGEST_CELLS:
        return line
    kept = ""
    for character in regex.findall(r"\X", line):
        if cell_len(kept + character) >= _LONGEST_CELLS:
            break
        kept += character
    return f"{kept}…"


def _families(characters: set[str]) -> tuple[tuple[str, ...], set[str]]:
    """Families that have the characters, and the characters that none has."""
    families, missing = [_DEFAULT_FAMILY], characters - _drawn_by(_DEFAULT_FAMILY)
    candidates = _installed()
    while missing and (family := next(candidates, None)):
        if found := missing & _drawn_by(family):
            families.append(family)
            missing -= found
    return tuple(families), missing


def _installed() -> Iterator[str]:
    """Families with a regular upright font, sorted; others would be drawn slanted or bold."""
    regular = {
        font.name for font in fontManager.ttflist if (font.style, font.weight) == ("normal", 400)
    }
    yield from sorted(regular - {_DEFAULT_FAMILY, _LAST_RESORT})


def _drawn_by(family: str) -> set[str]:
    file = findfont(FontProperties(family=[family]), fallback_to_default=False)
    return set(map(chr, get_font(file).get_charmap()))
