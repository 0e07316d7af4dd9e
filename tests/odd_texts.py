"""Texts that readers, tokenizers and protocols stumble over, as Hypothesis strategies by kind."""

from hypothesis import strategies as st

from decant.inference.classifier import MAX_CHARACTERS

SURROGATES = st.integers(0xD800, 0xDFFF).map(chr)
_WORD = st.sampled_from(["a good film", "dull", "großartig", "素晴らしい映画", "фильм", "فيلم"])
_UNITS = st.sampled_from(
    ["a", " ", "\n", "a\u0301", "字", "🎬", "\u200b", '"', "\\", "\0", "##", "۝"]
)


def _mixed(marks: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Words with marks between, before and after them."""
    return st.lists(marks | _WORD, max_size=12).map("".join)


def _repeated(smallest: int, largest: int) -> st.SearchStrategy[str]:
    count = st.integers(smallest, largest)
    return st.builds(lambda unit, count: (unit * count)[:largest], _UNITS, count)


KINDS: dict[str, st.SearchStrategy[str]] = {
    "any text": st.text(),
    "control characters": _mixed(st.characters(categories=["Cc"])),
    "NUL": _mixed(st.just("\0")),
    "marks of direction": _mixed(
        st.sampled_from("\u200e\u200f\u202a\u202b\u202d\u202e\u2066\u2067\u2069")
    ),
    "zero width": _mixed(st.sampled_from("\u200b\u200c\u200d\u2060\ufeff\u00ad")),
    "line ends": _mixed(
        st.sampled_from(["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
    ),
    "combining marks": st.builds(
        lambda base, marks, times: base + marks * times,
        st.sampled_from(["a", "字", ""]),
        st.text(st.characters(categories=["Mn", "Me"]), min_size=1, max_size=5),
        st.integers(1, 2000),
    ),
    "emoji sequences": _mixed(
        st.sampled_from(
            ["👩‍👩‍👧", "🏳️‍🌈", "👍🏿", "🇩🇪", "1️⃣", "🏴\U000e0067\U000e0062\U000e007f", "\ufe0f"]
        )
    ),
    "right to left": st.text(st.characters(min_codepoint=0x590, max_codepoint=0x8FF)),
    "beyond the first plane": st.text(st.characters(min_codepoint=0x10000, max_codepoint=0x10FFFF)),
    "no characters": _mixed(
        st.sampled_from(["\ufffe", "\uffff", "\U0001fffe", "\ufdd0", "\ufffd"])
    ),
    "private use": st.text(st.characters(categories=["Co"])),
    "number or word for missing": st.sampled_from(
        [
            "NA",
            "N/A",
            "null",
            "NULL",
            "None",
            "nan",
            "NaN",
            "<NA>",
            "#N/A",
            "-",
            "True",
            "false",
            "0",
            "1.0",
            "1e5",
            "-inf",
            "0x10",
            "1_000",
            "٣",
            "²",
            "½",
            "2026-01-01",
            "1,5",
            ".5",
        ]
    ),
    "quotes and delimiters": st.text(st.sampled_from("\"',;\t|\\/`{}[]:<>&%$#= \r\n"), max_size=60),
    "code of other layers": st.sampled_from(
        [
            "<script>alert(1)</script>",
            "'; DROP TABLE texts; --",
            "{{7*7}}",
            "${HOME}",
            "%s%n",
            "\\u0041",
            "\x1b[31mred",
            "[CLS] [SEP] [PAD] [MASK]",
            "=1+1",
            "@file",
            "-r",
            "--model",
            "../../etc/passwd",
        ]
    ),
    "blank": st.text(st.characters(categories=["Zs", "Zl", "Zp"]), max_size=20) | st.just(""),
    "long": _repeated(1000, 20_000),
    "as long as allowed": _repeated(MAX_CHARACTERS, MAX_CHARACTERS),
    "too long": _UNITS.map(lambda unit: unit * (MAX_CHARACTERS + 1)),
    "half a surrogate pair": st.builds(
        lambda before, half, after: before + half + after, _WORD, SURROGATES, _WORD
    ),
}
# The long ones rarely: each takes as long as a thousand others.
_FREQUENT = [kind for kind in KINDS if "long" not in kind] * 4


def odd_texts() -> st.SearchStrategy[tuple[str, str]]:
    """A kind and a text of it."""
    return st.sampled_from([*KINDS, *_FREQUENT]).flatmap(
        lambda kind: st.tuples(st.just(kind), KINDS[kind])
    )
