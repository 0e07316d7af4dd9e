"""The complete examples in CONTRIBUTING.md keep the contracts that it describes."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from decant import tables
from decant.runtime.plugins import plugin_names
from pipelines.onboarding.file_content import content_format
from tests.docs.documents import code_blocks
from tests.errors import raises


def example(file: str) -> ModuleType:
    """The module in the block with this title."""
    (code,) = (
        block.code
        for block in code_blocks(Path("CONTRIBUTING.md"), "python")
        if f'title="{file}"' in block.info
    )
    module = ModuleType(Path(file).stem)
    exec(compile(code, file, "exec"), module.__dict__)
    return module


def test_the_student_is_complete_and_padding_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = example("decant/students/options/attention.py")
    monkeypatch.setitem(sys.modules, "decant.students.options.attention", options)
    student = example("decant/students/attention.py")
    torch.manual_seed(0)
    body = student.build(student.Config(dropout=0.3), width=4, max_length_tokens=8).eval()
    states = torch.randn(2, 5, 4)
    mask = torch.tensor([[True, True, True, False, False], [True] * 5])
    features = body(states, mask)
    assert features.shape == (2, body.output_size)
    torch.testing.assert_close(body(states[:1, :3], mask[:1, :3]), features[:1])
    features.square().sum().backward()
    assert all(parameter.grad.any() for parameter in body.parameters())
    assert student.transfer(body, None) == {}
    with torch.no_grad():  # equal weights: the mean, by hand
        body.score.weight[:] = 0
    torch.testing.assert_close(body(states, mask)[0], states[0, :3].mean(dim=0))


@pytest.fixture
def with_psv(monkeypatch: pytest.MonkeyPatch) -> None:
    readers = {**tables._readers(), "psv": example("decant/tables/psv.py")}
    monkeypatch.setattr(tables, "_readers", lambda: readers)


@pytest.mark.usefixtures("with_psv")
def test_the_format_is_complete(tmp_path: Path) -> None:
    file = tmp_path / "rows.psv"
    file.write_text('text|label\ngood, "very"|1\nbad|0\n')
    frame = tables.read_table(file)
    assert frame.to_dict("index") == {
        1: {"text": 'good, "very"', "label": "1"},
        2: {"text": "bad", "label": "0"},
    }
    file.write_text("text|label\na|b|c\n")
    with raises("row-invalid", "data row 1"):
        tables.read_table(file)


@pytest.mark.usefixtures("with_psv")
def test_init_takes_a_file_of_the_new_format(tmp_path: Path) -> None:
    file = tmp_path / "rows.psv"
    file.write_text("text|label\ngood|1\nbad|0\n")
    assert content_format(file) == "psv"


def test_the_examples_are_new() -> None:
    for package, name in (("decant.students", "attention"), ("decant.tables", "psv")):
        assert name not in plugin_names(package)
