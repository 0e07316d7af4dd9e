"""Training rows that nearly repeat a validation or test text: proposed by MinHash, then compared.

Texts are compared by their character 5-grams, which need no words: the share of all n-grams of two
texts that both have (Jaccard). MinHash with locality-sensitive hashing proposes pairs (Broder 1997,
"On the resemblance and containment of documents"), and each is compared exactly.

rensa makes the signatures: from NumPy arrays of hashes, in bulk, where datasketch takes 100
microseconds a text. The engine joins them, so that memory does not grow with the rows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field
from rensa import RMinHash

from components.ingest.rows import ROW_ID, place, reject
from decant.runtime.reporter import Reporter
from decant.tables import Engine

Policy = Literal["drop", "report", "ignore"]
Similarity = Annotated[float, Field(ge=0.5, lt=1)]

NGRAM = 5
# A pair of similarity 0.8 is proposed in 99.2 % of the cases, one of 0.9 in 99.998 %.
_BANDS, _BAND = 12, 5
_PERMUTATIONS = _BANDS * _BAND
# An estimate from 60 hashes is rarely further off than this: three standard deviations at 0.8.
_MARGIN = 0.15
_SEED = 13
_ROWS_AT_ONCE = 20_000
_BATCHES_AT_ONCE = 5
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_FILTER_BITS = 1 << 29  # 64 MiB: which hashes a held-out text has
_HELD_OUT = "split IN ('validation', 'test')"
_TRAINING = "(split = 'train' OR unlabelled)"
_SHOWN = 3


def drop_near_duplicates(
    engine: Engine, policy: Policy, similarity: float, reporter: Reporter
) -> None:
    """Find rows of the training side that are nearly a held-out text; reject them by the policy.

    Args:
        similarity: of the character 5-grams (Jaccard) from which on two texts are nearly the same.
    """
    if policy == "ignore":
        return
    _propose(engine, similarity - _MARGIN)
    engine.run("CREATE OR REPLACE TABLE near (id BIGINT, twin BIGINT, similarity DOUBLE)")
    pairs = f"""
        SELECT proposed.id, twin, {_text("one")} AS text, {_text("other")} AS its_text FROM proposed
        JOIN rows AS one ON one.id = proposed.id JOIN rows AS other ON other.id = twin
    """
    for batch in engine.batches(pairs, _ROWS_AT_ONCE):
        rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        found = [(row, twin, jaccard(text, its_text)) for row, twin, text, its_text in rows]
        near = [one for one in found if one[2] >= similarity]
        if near:
            ids, twins, shares = zip(*near, strict=True)
            _insert(engine, "near", {"id": ids, "twin": twins, "similarity": shares})
    _report(engine, policy, reporter)
    if policy == "drop":
        reject(
            engine,
            "near_duplicate",
            f"SELECT near.id, 'nearly the text of ' || {ROW_ID} || "
            "printf(' (similarity %.2f)', similarity) AS reason "
            "FROM near JOIN rows ON rows.id = twin JOIN files USING (file)",
        )


def jaccard(one: str, other: str) -> float:
    """The share of the character n-grams of two texts that both have."""
    first, second = _ngrams(one), _ngrams(other)
    return len(first & second) / len(first | second)


@dataclass(frozen=True, slots=True)
class Signed:
    """Rows by what is compared of their texts.

    Attributes:
        ids: of the rows, shape (rows,).
        marks: a byte of each MinHash, shape (rows, permutations): the share of equal ones estimates
            the similarity (Li and Koenig 2010, "b-Bit minwise hashing").
        keys: a hash per band, shape (rows, bands): texts with an equal one are compared.
    """

    ids: NDArray[np.int64]
    marks: NDArray[np.uint8]
    keys: NDArray[np.uint64]


def signed(ids: NDArray[np.int64], texts: list[str]) -> Signed:
    """The signatures of some texts."""
    hashes, starts = _ngram_hashes(texts)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, starts, _PERMUTATIONS, _SEED)
    rows = np.array(matrix.to_rows(), dtype=np.uint64)
    in_bands = rows.reshape(len(texts), _BANDS, _BAND)
    keys = np.repeat(np.arange(_BANDS, dtype=np.uint64)[None, :], len(texts), axis=0)
    for at in range(_BAND):
        keys = _mixed(keys ^ in_bands[:, :, at])
    return Signed(ids, (_mixed(rows) & np.uint64(0xFF)).astype(np.uint8), keys)


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
        places = np.repeat(np.arange(rows, rows + len(part.ids), dtype=np.int32), _BANDS)
        _insert(engine, "bands", {"key": part.keys.ravel(), "place": places})
        ids.append(part.ids)
        marks.append(part.marks)
        rows += len(part.ids)
    if not rows:
        return
    all_ids, all_marks = np.concatenate(ids), np.concatenate(marks)
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
    query = f"SELECT live.id, {_text('rows')} FROM live JOIN rows USING (id) WHERE {where}"
    parts: list[Signed] = []
    for batch in engine.batches(query, _ROWS_AT_ONCE):
        parts.append(signed(batch.column(0).to_numpy(), batch.column(1).to_pylist()))
        if len(parts) == _BATCHES_AT_ONCE:
            yield _joined(parts)
            parts = []
    if parts:
        yield _joined(parts)


def _joined(parts: list[Signed]) -> Signed:
    return Signed(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in Signed.__slots__)
    )


def _text(table: str) -> str:
    return rf"lower(regexp_replace({table}.text, '\s+', ' ', 'g'))"


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


def _ngrams(text: str) -> set[str]:
    return {text[at : at + NGRAM] for at in range(max(1, len(text) - NGRAM + 1))}


def _ngram_hashes(texts: list[str]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Hashes of all n-grams, one text after the other, and where each begins and ends."""
    gap = "\0" * NGRAM  # a shorter text is one n-gram
    codes = np.frombuffer((gap.join(texts) + gap).encode("utf-32-le"), dtype="<u4")
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    grams = np.maximum(lengths - NGRAM + 1, 1)
    ends = np.cumsum(grams)
    begins = np.cumsum(lengths + NGRAM) - (lengths + NGRAM)
    at = np.arange(ends[-1]) + np.repeat(begins - (ends - grams), grams)
    hashes = np.zeros(len(at), dtype=np.uint64)
    for offset in range(NGRAM):
        hashes = hashes * _MIX[0] + codes[at + offset].astype(np.uint64)
    return _mixed(hashes), np.concatenate([[0], ends]).astype(np.uint64)


def _mixed(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Steele et al. 2014, "Fast splittable pseudorandom number generators": SplitMix64."""
    hashes = hashes + _MIX[0]
    hashes = (hashes ^ (hashes >> np.uint64(30))) * _MIX[1]
    hashes = (hashes ^ (hashes >> np.uint64(27))) * _MIX[2]
    return hashes ^ (hashes >> np.uint64(31))


def _report(engine: Engine, policy: Policy, reporter: Reporter) -> None:
    ((count,),) = engine.all("SELECT count(*) FROM near")
    reporter.metric("near_duplicates", int(count))
    if not count:
        return
    first = engine.all(f"SELECT id, twin, similarity FROM near ORDER BY id LIMIT {_SHOWN}")
    shown = ", ".join(
        f"{place(engine, row)} of {place(engine, twin)} ({share:.2f})" for row, twin, share in first
    )
    done = "were dropped" if policy == "drop" else "stay: ingest.near_duplicates is report"
    reporter.warning(
        f"{count} training or unlabelled texts nearly repeat a validation or test text and {done}: "
        f"{shown}{', ...' if count > _SHOWN else ''}"
    )
