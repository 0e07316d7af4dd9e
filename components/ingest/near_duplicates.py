"""Training rows that nearly repeat a validation or test text: proposed by MinHash, then compared.

Texts are compared by their character 5-grams, which need no words: the share of all n-grams of two
texts that both have (Jaccard). MinHash with locality-sensitive hashing proposes pairs (Broder 1997,
"On the resemblance and containment of documents"), and each is compared exactly.

rensa makes the signatures: from NumPy arrays of hashes, in bulk, where datasketch takes 100
microseconds a text. The engine joins them, so that memory does not grow with the rows.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

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
# A pair of similarity 0.8 is proposed in 99.5 % of the cases, one of 0.9 in 99.997 %.
_BANDS, _BAND = 10, 4
_SEED = 13
_BATCH_ROWS = 20_000
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
    _propose(engine)
    engine.run("CREATE OR REPLACE TABLE near (id BIGINT, twin BIGINT, similarity DOUBLE)")
    pairs = f"""
        SELECT proposed.id, twin, {_text("one")} AS text, {_text("other")} AS its_text FROM proposed
        JOIN rows AS one ON one.id = proposed.id JOIN rows AS other ON other.id = twin
    """
    for batch in engine.batches(pairs, _BATCH_ROWS):
        rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        found = [(row, twin, jaccard(text, its_text)) for row, twin, text, its_text in rows]
        _insert(engine, "near", [one for one in found if one[2] >= similarity])
    near = "SELECT id, max(similarity) AS similarity, arg_max(twin, similarity) AS twin FROM near"
    engine.run(f"CREATE OR REPLACE TABLE nearest AS {near} GROUP BY id")
    _report(engine, policy, reporter)
    if policy == "drop":
        reject(
            engine,
            "near_duplicate",
            f"SELECT nearest.id, 'nearly the text of ' || {ROW_ID} || "
            "printf(' (similarity %.2f)', similarity) AS reason "
            "FROM nearest JOIN rows ON rows.id = twin JOIN files USING (file)",
        )


def jaccard(one: str, other: str) -> float:
    """The share of the character n-grams of two texts that both have."""
    first, second = _ngrams(one), _ngrams(other)
    return len(first & second) / len(first | second)


def signatures(texts: list[str]) -> NDArray[np.uint64]:
    """A hash per text and band, shape (texts, bands); alike texts have some of them in common."""
    hashes, starts = _ngram_hashes(texts)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, starts, _BANDS * _BAND, _SEED)
    rows = np.array(matrix.to_rows(), dtype=np.uint64).reshape(len(texts), _BANDS, _BAND)
    band = np.arange(_BANDS, dtype=np.uint64)[None, :]
    keys = np.broadcast_to(band, (len(texts), _BANDS)).copy()
    for place_in_band in range(_BAND):
        keys = _mixed(keys ^ rows[:, :, place_in_band])
    return keys


def _propose(engine: Engine) -> None:
    """A table `proposed` of pairs: a row of the training side, a held-out one. At most one per band."""
    engine.run("CREATE OR REPLACE TABLE bands (key UBIGINT, id BIGINT)")
    engine.run("CREATE OR REPLACE TABLE candidates (key UBIGINT, id BIGINT)")
    known = np.zeros(_FILTER_BITS // 8, dtype=np.uint8)
    for ids, keys in _keys(engine, _HELD_OUT):
        byte, bit = _address(keys)
        np.bitwise_or.at(known, byte, bit)
        _insert_keys(engine, "bands", ids, keys, np.ones(keys.shape, dtype=np.bool_))
    for ids, keys in _keys(engine, _TRAINING):
        byte, bit = _address(keys)
        _insert_keys(engine, "candidates", ids, keys, (known[byte] & bit) != 0)
    engine.run(
        """
        CREATE OR REPLACE TABLE proposed AS
        WITH first AS (
            SELECT key, min(id) AS twin FROM bands
            SEMI JOIN candidates USING (key) GROUP BY key
        )
        SELECT DISTINCT candidates.id, twin FROM candidates JOIN first USING (key) ORDER BY ALL
        """
    )


def _keys(engine: Engine, where: str) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
    query = f"SELECT live.id, {_text('rows')} FROM live JOIN rows USING (id) WHERE {where}"
    for batch in engine.batches(query, _BATCH_ROWS):
        yield batch.column(0).to_numpy(), signatures(batch.column(1).to_pylist())


def _text(table: str) -> str:
    return rf"lower(regexp_replace({table}.text, '\s+', ' ', 'g'))"


def _address(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Byte and bit of each key in the filter."""
    at = keys % np.uint64(_FILTER_BITS)
    return (at >> np.uint64(3)).astype(np.int64), np.left_shift(1, at & np.uint64(7)).astype(np.uint8)


def _insert_keys(
    engine: Engine,
    table: str,
    ids: NDArray[np.int64],
    keys: NDArray[np.uint64],
    chosen: NDArray[np.bool_],
) -> None:
    rows, bands = np.nonzero(chosen)
    new = pa.table({"key": keys[rows, bands], "id": ids[rows]})
    engine.connection.register("new_keys", new)
    engine.run(f"INSERT INTO {table} FROM new_keys")
    engine.connection.unregister("new_keys")


def _insert(engine: Engine, table: str, rows: list[tuple[int, int, float]]) -> None:
    if rows:
        ids, twins, shares = zip(*rows, strict=True)
        engine.connection.register("new_rows", pa.table([ids, twins, shares], names=["i", "t", "s"]))
        engine.run(f"INSERT INTO {table} FROM new_rows")
        engine.connection.unregister("new_rows")


def _ngrams(text: str) -> set[str]:
    return {text[at : at + NGRAM] for at in range(max(1, len(text) - NGRAM + 1))}


def _ngram_hashes(texts: list[str]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Hashes of all n-grams, one text after the other, and where each begins and ends."""
    gap = "\0" * (NGRAM - 1)  # a shorter text is one n-gram
    codes = np.frombuffer((gap.join(texts) + gap).encode("utf-32-le"), dtype="<u4")
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    grams = np.maximum(lengths - NGRAM + 1, 1)
    ends = np.cumsum(grams)
    begins = np.cumsum(lengths + NGRAM - 1) - (lengths + NGRAM - 1)
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
    ((count,),) = engine.all("SELECT count(*) FROM nearest")
    reporter.metric("near_duplicates", int(count))
    if not count:
        return
    first = engine.all(f"SELECT id, twin, similarity FROM nearest ORDER BY id LIMIT {_SHOWN}")
    shown = ", ".join(
        f"{place(engine, row)} of {place(engine, twin)} ({share:.2f})" for row, twin, share in first
    )
    done = "were dropped" if policy == "drop" else "stay: ingest.near_duplicates is report"
    reporter.warning(
        f"{count} training or unlabelled texts nearly repeat a validation or test text and {done}: "
        f"{shown}{', ...' if count > _SHOWN else ''}"
    )
