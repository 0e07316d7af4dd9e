"""Training rows that nearly repeat a validation or test text: proposed by MinHash, then compared.

The engine joins the signatures of signatures.py, so that memory hardly grows with the rows: a byte
per hash of a held-out text is all that is kept.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.ingest.contract import NearDuplicates
from components.ingest.rows import ROW_ID, place, reject
from components.ingest.signatures import BANDS, Signed, jaccard, signed
from decant.runtime.reporter import Reporter
from decant.tables import Engine
from decant.tasks.declared import Declared
from decant.tasks.rows import rows_of

# An estimate from 32 hashes is rarely further off than this: three standard deviations at 0.8.
_MARGIN = 0.2
_ROWS_AT_ONCE = 20_000
_CHARACTERS_AT_ONCE = 1_000_000
_ROWS_IN_HAND = 100_000
_FILTER_BITS = 1 << 28  # 32 MiB: which hashes a held-out text has
_HELD_OUT = "split IN ('validation', 'test')"
_TRAINING = "(split = 'train' OR unlabelled)"
_SHOWN = 3
_NUMBER = re.compile(r"\d+")
_LARGE_SHARE = 0.1  # of the training side


def drop_near_duplicates(
    engine: Engine,
    targets: Sequence[Declared],
    policy: NearDuplicates,
    similarity: float,
    reporter: Reporter,
) -> None:
    """Find rows of the training side that are nearly a held-out text; reject them by the policy.

    Texts with different numbers or different labels are different: one word may decide. Where more
    than a tenth of the rows would go, it is a template that is alike, and `drop` only reports.

    Args:
        similarity: of the 5-grams of letters and digits (Jaccard) from which on two texts are
            nearly the same.
    """
    if policy == "ignore":
        return
    _propose(engine, similarity - _MARGIN)
    engine.run("CREATE OR REPLACE TABLE near (id BIGINT, twin BIGINT, similarity DOUBLE)")
    pairs = f"""
        SELECT proposed.id, twin, lower(one.text), lower(other.text),
            {_compared("one.text")}, {_compared("other.text")} FROM proposed
        JOIN rows AS one ON one.id = proposed.id JOIN rows AS other ON other.id = twin
        JOIN live AS mine ON mine.id = proposed.id JOIN live AS its ON its.id = twin
        WHERE {" AND ".join(f"({_alike(target)})" for target in targets)}
    """
    for batch in engine.batches(pairs, _ROWS_AT_ONCE):
        rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        found = [
            (row, twin, jaccard(letters, its_letters))
            for row, twin, text, its_text, letters, its_letters in rows
            if _NUMBER.findall(text) == _NUMBER.findall(its_text)
        ]
        near = [one for one in found if one[2] >= similarity]
        if near:
            ids, twins, shares = zip(*near, strict=True)
            _insert(engine, "near", {"id": ids, "twin": twins, "similarity": shares})
    if _report(engine, policy, reporter):
        reject(
            engine,
            "near_duplicate",
            f"SELECT near.id, 'nearly the text of ' || {ROW_ID} || "
            "printf(' (similarity %.2f)', similarity) AS reason "
            "FROM near JOIN rows ON rows.id = twin JOIN files USING (file)",
        )


def _compared(text: str) -> str:
    """SQL: of a text what is compared: letters and digits, so that `film, and` is `film , and`.

    Data sets differ in blanks and punctuation where they took the same texts. A text of symbols
    alone is compared as it is.
    """
    letters = f"regexp_replace(lower({text}), '[^\\p{{L}}\\p{{M}}\\p{{N}}]+', '', 'g')"
    return f"coalesce(nullif({letters}, ''), lower({text}))"


def _alike(target: Declared) -> str:
    """SQL: what is known of both rows' labels does not tell them apart."""
    mine, its = f"mine.{target.sql}", f"its.{target.sql}"
    return f"{mine} IS NULL OR {its} IS NULL OR {rows_of(target).alike(mine, its)}"


def _propose(engine: Engine, least: float) -> None:
    """A table `proposed` of a row of the training side and the held-out one most like it.

    Args:
        least: the estimated similarity from which on a pair is proposed.
    """
    engine.run("CREATE OR REPLACE TABLE bands (key UBIGINT, place INTEGER)")
    engine.run("CREATE OR REPLACE TABLE proposed (id BIGINT, twin BIGINT)")
    known = np.zeros(_FILTER_BITS // 8, dtype=np.uint8)
    ids, marks, rows = [], [], 0
    for part in _signed_rows(engine, _HELD_OUT):
        byte, bit = _address(part.keys)
        np.bitwise_or.at(known, byte, bit)
        places = np.repeat(np.arange(rows, rows + len(part.ids), dtype=np.int32), BANDS)
        _insert(engine, "bands", {"key": part.keys.ravel(), "place": places})
        ids.append(part.ids)
        marks.append(part.marks)
        rows += len(part.ids)
    if not rows:
        return
    all_ids, all_marks = np.concatenate(ids), np.concatenate(marks)
    del ids, marks  # of a million held-out texts they are some 40 MB
    # One held-out text per hash is enough: who is like one of them is like the others.
    engine.run(
        "CREATE OR REPLACE TABLE first_of_band AS "
        "SELECT key, min(place) AS place FROM bands GROUP BY key; DROP TABLE bands"
    )
    for part in _signed_rows(engine, _TRAINING):
        byte, bit = _address(part.keys)
        row, band = np.nonzero((known[byte] & bit) != 0)
        mine, its = _pairs(engine, row, part.keys[row, band])
        share = (part.marks[mine] == all_marks[its]).mean(axis=1)
        order = np.lexsort((its, -share, mine))
        best = order[np.unique(mine[order], return_index=True)[1]]
        best = best[share[best] >= least]
        _insert(engine, "proposed", {"id": part.ids[mine[best]], "twin": all_ids[its[best]]})


def _pairs(
    engine: Engine, rows: NDArray[np.int64], keys: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of a row in hand and the place of a held-out one with an equal hash."""
    engine.connection.register("in_hand", pa.table({"row": rows, "key": keys}))
    found = engine.connection.sql(
        "SELECT DISTINCT row, place FROM in_hand JOIN first_of_band USING (key)"
    ).to_arrow_table()
    engine.connection.unregister("in_hand")
    return found.column(0).to_numpy(), found.column(1).to_numpy().astype(np.int64)


def _signed_rows(engine: Engine, where: str) -> Iterator[Signed]:
    text = _compared("rows.text")
    query = f"SELECT live.id, {text} FROM live JOIN rows USING (id) WHERE {where}"
    parts: list[Signed] = []
    for ids, texts in _batches(engine, query):
        parts.append(signed(ids, texts))
        if sum(len(part.ids) for part in parts) >= _ROWS_IN_HAND:
            yield _joined(parts)
            parts = []
    if parts:
        yield _joined(parts)


def _batches(engine: Engine, query: str) -> Iterator[tuple[NDArray[np.int64], list[str]]]:
    """Rows whose texts are not too long together, since an n-gram takes some fifty bytes."""
    for batch in engine.batches(query, _ROWS_AT_ONCE):
        ids, texts = batch.column(0).to_numpy(), batch.column(1).to_pylist()
        ends = np.cumsum([len(text) for text in texts])
        cuts = np.searchsorted(ends, np.arange(0, ends[-1], _CHARACTERS_AT_ONCE))
        bounds = sorted({*cuts.tolist(), len(texts)} | {0})
        for start, stop in pairwise(bounds):
            yield ids[start:stop], texts[start:stop]


def _joined(parts: list[Signed]) -> Signed:
    return Signed(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in Signed.__slots__)
    )


def _address(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Byte and bit of each key in the filter."""
    at = keys % np.uint64(_FILTER_BITS)
    return (at >> np.uint64(3)).astype(np.int64), np.left_shift(1, at & np.uint64(7)).astype(
        np.uint8
    )


def _insert(engine: Engine, table: str, columns: Mapping[str, Any]) -> None:
    engine.connection.register("new_rows", pa.table(dict(columns)))
    engine.run(f"INSERT INTO {table} FROM new_rows")
    engine.connection.unregister("new_rows")


def _report(engine: Engine, policy: NearDuplicates, reporter: Reporter) -> bool:
    """Log what was found; whether it is to be dropped."""
    ((count,),) = engine.all("SELECT count(*) FROM near")
    ((rows,),) = engine.all(f"SELECT count(*) FROM live WHERE {_TRAINING}")
    reporter.metric("near_duplicates", int(count))
    if not count:
        return False
    many = count > _LARGE_SHARE * rows
    dropped = policy == "drop_all" or (policy == "drop" and not many)
    first = engine.all(f"SELECT id, twin, similarity FROM near ORDER BY id LIMIT {_SHOWN}")
    shown = ", ".join(
        f"{place(engine, row)} of {place(engine, twin)} ({share:.2f})" for row, twin, share in first
    )
    reporter.warning(
        f"{count} training or unlabelled texts ({count / rows:.0%}) nearly repeat a validation or "
        f"test text and {'were dropped' if dropped else 'stay'}: "
        f"{shown}{', ...' if count > _SHOWN else ''}"
    )
    if policy == "drop" and many:
        reporter.warning(
            "so many alike are rather a template than repeats; set ingest.near_duplicates to "
            "drop_all where they are repeats, or to report"
        )
    return dropped
