"""Token rows: written and mapped, joined and cut without a copy of their ids."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from decant.data import tokens
from decant.data.tokens import TokenRows, to_batch


def rows_of(*lengths: int) -> TokenRows:
    """Each row holds its length as often as it says; labels are 0, 1, ..."""
    rows = [np.full(length, length, dtype=np.int32) for length in lengths]
    return TokenRows.of(rows, range(len(rows)))


def ids(rows: TokenRows) -> list[list[int]]:
    return [row.tolist() for row in rows]


def test_rows_written_are_rows_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_BATCH_ROWS", 2)
    rows_of(1, 2, 3, 4, 5).write(tmp_path / "rows.arrow")
    with pa.ipc.open_file(tmp_path / "rows.arrow") as reader:
        batches = [reader.get_batch(index).num_rows for index in range(reader.num_record_batches)]
    assert batches == [2, 2, 1]
    mapped = TokenRows.map(tmp_path / "rows.arrow")
    assert ids(mapped) == [[1], [2] * 2, [3] * 3, [4] * 4, [5] * 5]
    assert mapped.labels.tolist() == [0, 1, 2, 3, 4]
    assert mapped.lengths.tolist() == [1, 2, 3, 4, 5]
    TokenRows.of([], []).write(tmp_path / "none.arrow")
    assert len(TokenRows.map(tmp_path / "none.arrow")) == 0


def test_mapped_rows_take_neither_memory_nor_open_files(tmp_path: Path) -> None:
    rows_of(*[500] * 200).write(tmp_path / "rows.arrow")
    open_files, allocated = len(list(Path("/dev/fd").iterdir())), pa.total_allocated_bytes()
    mapped = [TokenRows.map(tmp_path / "rows.arrow") for _ in range(50)]
    assert len(list(Path("/dev/fd").iterdir())) == open_files
    assert pa.total_allocated_bytes() - allocated < 200 * 500 * 4
    assert all(rows[199].tolist() == [500] * 500 for rows in mapped)


def test_rows_of_several_parts_are_one() -> None:
    parts = [rows_of(1, 2), rows_of(3), TokenRows([]), rows_of(4)]
    joined = TokenRows.joined(iter(parts))
    assert ids(joined) == [[1], [2, 2], [3, 3, 3], [4, 4, 4, 4]]
    assert joined.labels.tolist() == [0, 1, 0, 0]
    assert joined.lengths.tolist() == [1, 2, 3, 4]
    assert np.shares_memory(joined[1], parts[0][1])
    assert np.shares_memory(joined[3], parts[3][0])


@pytest.mark.parametrize("batch_rows", [1, 2, 3, 100])
def test_every_part_is_a_view_of_its_rows(monkeypatch: pytest.MonkeyPatch, batch_rows: int) -> None:
    monkeypatch.setattr(tokens, "_BATCH_ROWS", batch_rows)
    whole = TokenRows.joined([rows_of(1, 2, 3, 4), rows_of(5, 6, 7)])
    for start in range(9):
        for stop in range(9):
            part = whole.part(start, stop)
            assert ids(part) == ids(whole)[start:stop]
            assert part.labels.tolist() == whole.labels.tolist()[start:stop]
            assert part.lengths.tolist() == whole.lengths.tolist()[start:stop]
    middle = whole.part(2, 6)
    assert np.shares_memory(middle[0], whole[2])
    assert ids(middle.part(1, 3)) == [[4] * 4, [5] * 5]


def test_the_digest_is_of_the_rows_however_they_lie() -> None:
    """Lengths, then ids, as little-endian int32."""
    content = np.array([1, 2, 3, 1, 2, 2, 3, 3, 3], dtype="<i4").tobytes()
    expected = hashlib.sha256(content).hexdigest()
    assert rows_of(1, 2, 3).digest == expected
    assert TokenRows.joined([rows_of(1), rows_of(2, 3)]).digest == expected
    assert rows_of(9, 1, 2, 3, 9).part(1, 4).digest == expected
    rows = [[1, 2], [2, 3, 3, 3]]  # the same ids, otherwise cut
    cut = TokenRows.of([np.array(row, dtype=np.int32) for row in rows], [0, 0])
    assert len({expected, cut.digest, rows_of(1, 3, 2).digest, TokenRows([]).digest}) == 4


def test_offsets_that_32_bits_cannot_hold_are_refused() -> None:
    row = np.broadcast_to(np.int32(7), 2**30)  # takes no memory
    with pytest.raises(pa.ArrowInvalid, match="2147483648 not in range"):
        to_batch([row, row], [0, 0])
