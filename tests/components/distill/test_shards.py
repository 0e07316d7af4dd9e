"""Cutting to a fixed size, and computing only what no file holds yet."""

from pathlib import Path

import numpy as np
import pytest

from components.distill import shards
from components.distill.shards import cut, fill, rows_file
from decant.data.tokens import TokenRows
from decant.runtime.cache_folder import write_once


@pytest.mark.parametrize(
    ("rows", "sizes"), [(0, []), (1, [1]), (3, [3]), (4, [3, 1]), (6, [3, 3]), (8, [3, 3, 2])]
)
def test_every_row_lies_in_one_shard(
    monkeypatch: pytest.MonkeyPatch, rows: int, sizes: list[int]
) -> None:
    monkeypatch.setattr(shards, "SHARD_ROWS", 3)
    whole = TokenRows.of((np.array([row], dtype=np.int32) for row in range(rows)), range(rows))
    made = cut(whole)
    assert [len(shard) for shard in made] == sizes
    assert [int(row[0]) for shard in made for row in shard] == list(range(rows))
    assert [int(label) for shard in made for label in shard.labels] == list(range(rows))


def test_only_missing_files_are_computed_and_not_at_all_when_none_is(tmp_path: Path) -> None:
    files = [tmp_path / f"{index}" for index in range(4)]
    write_once(files[1], Path.touch)
    requested: list[list[int]] = []

    def compute(missing: list[int]) -> None:
        requested.append(missing)
        for index in missing:
            write_once(files[index], Path.touch)

    assert fill(files, compute) == 3
    assert fill(files, compute) == 0
    assert requested == [[0, 2, 3]]


def test_rows_lie_under_recipe_and_code() -> None:
    one, same, other, by_others = (
        rows_file(recipe, f"components.distill.{maker}")
        for recipe, maker in (("a", "shards"), ("a", "shards"), ("b", "shards"), ("a", "augment"))
    )
    assert one == same
    assert len({one, other, by_others}) == 3


def test_processes_share_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / str(number) for number in range(7)]
    write_once(files[0], Path.touch)
    requested: list[list[int]] = []
    waited = []

    def compute(missing: list[int]) -> None:
        requested.append(missing)
        for index in missing:
            write_once(files[index], Path.touch)

    def wait_for_all() -> None:
        waited.append(len(requested))
        if len(waited) == 2:  # the others have done their share, but for one on another machine
            for index in (1, 3, 4):
                write_once(files[index], Path.touch)

    monkeypatch.setattr("decant.training.processes.index", lambda: 1)
    monkeypatch.setattr("decant.training.processes.count", lambda: 3)
    monkeypatch.setattr("decant.training.processes.wait_for_all", wait_for_all)
    assert fill(files, compute) == 6
    assert requested == [[2, 5], [6]]
    assert waited == [0, 1]
    assert fill(files, compute) == 0
    assert len(waited) == 4  # every process waits as often, whatever it finds
