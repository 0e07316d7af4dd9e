"""The garbage collector is off for a block, and does not look through what a step imports."""

import gc
import subprocess
import sys

import pytest

from decant.runtime.collector import no_collector, objects_that_stay


def test_it_is_as_before_behind_the_block() -> None:
    assert gc.isenabled()
    with no_collector():
        assert not gc.isenabled()
        with no_collector():
            assert not gc.isenabled()
        assert not gc.isenabled(), "it was off before that block"
    assert gc.isenabled()


def test_an_error_switches_it_on_again() -> None:
    with pytest.raises(ValueError, match="library"), objects_that_stay():
        raise ValueError("library")
    assert gc.isenabled()


def test_what_a_step_imports_is_frozen_once() -> None:
    """In a process of its own: what is frozen stays so."""
    code = """
import gc
from decant.runtime.steps import import_step
assert gc.get_freeze_count() == 0
first = import_step("tokenize")
frozen = gc.get_freeze_count()
kept = [[] for _ in range(1000)]
assert import_step("tokenize") is first
assert gc.isenabled()
print(frozen, gc.get_freeze_count(), kept in gc.get_objects())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    frozen, again, is_watched = done.stdout.split()
    assert int(frozen) > 10_000
    assert again == frozen
    assert is_watched == "True"
