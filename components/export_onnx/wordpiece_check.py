"""Whether a model may find its token ids by decant/inference/wordpiece.py: where it is exact."""

import random
import string
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Tokenizer

from decant.data.tokens import TokenRows
from decant.inference.classifier import MAX_CHARACTERS
from decant.inference.model_files import TOKENIZER
from decant.inference.wordpiece import read_wordpiece
from decant.runtime.reporter import Reporter

_ROWS, _RANDOM = 1000, 1000
_SEED = 13
_SIGNS = "\u2018\u2019\u201c\u201d\u2013\u2014\u2026"
_ODD = (
    "\t\n\r\v\f\0\x1f\x7f\x85\xa0\xad\xdf\xe9\u0130\u0301\u1e9e\u200b\u212a\u3000\u4e00\ufeff\ufffd"
    "\U0001f3ac"
)
_ALPHABETS = (
    string.ascii_letters + " ",
    string.printable,
    string.ascii_letters + string.punctuation + _SIGNS + "  ",
    string.ascii_letters + _ODD + " ",
)


def texts_read_alike(folder: Path, rows: TokenRows, reporter: Reporter) -> int | None:
    """On how many texts the dictionary of words gave the ids of the tokenizer in the folder.

    Args:
        rows: in the ids of that tokenizer; their words are among the texts.

    Returns None where the tokenizer is of another form, or gives other ids for a text.
    """
    wordpiece = read_wordpiece(folder / TOKENIZER)
    if wordpiece is None:
        return None
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    texts = list(dict.fromkeys(_texts(tokenizer, rows)))
    read = 0
    for text, encoding in zip(texts, tokenizer.encode_batch_fast(texts), strict=True):
        ids = wordpiece.ids(text)
        if ids is not None and ids != encoding.ids:
            reporter.message(f"words are left to the tokenizer: it reads {text[:80]!r} otherwise")
            return None
        read += ids is not None
    return read


def _texts(tokenizer: Tokenizer, rows: TokenRows) -> Iterator[str]:
    """Real words in all spellings, made-up ones, every sign, and the longest text."""
    taken = range(0, len(rows), max(1, len(rows) // _ROWS))
    for text in tokenizer.decode_batch([rows[row].tolist() for row in taken]):
        yield from (text, text.title(), text.upper(), text.replace(" ", ""))
    yield from _signs(tokenizer)
    dice = random.Random(_SEED)
    pieces = sorted(tokenizer.get_vocab())
    for _ in range(_RANDOM):
        for alphabet in _ALPHABETS:
            yield "".join(dice.choices(alphabet, k=dice.randint(1, 60)))
        yield "".join(dice.choices(pieces, k=8))
        yield " ".join(dice.choices(pieces, k=8)).replace("##", "")


def _signs(tokenizer: Tokenizer) -> Iterable[str]:
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    signs = [chr(code) for code in range(256)] + list(_SIGNS)
    yield from ("", " ", "a" * 100, "a" * 101, ("ab, " * MAX_CHARACTERS)[:MAX_CHARACTERS])
    for sign in (*signs, *special, *(token.lower() for token in special)):
        yield from (sign, f"one{sign}two {sign} three", f"It{sign}{sign}s")
