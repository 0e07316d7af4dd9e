"""YAML that stands for more than memory holds, for itself, or for nothing that exists."""

from pathlib import Path

import pytest
from ruamel.yaml.error import YAMLError

from decant.runtime.params_file import read_params_file, read_sections
from decant.runtime.yaml_text import load_yaml
from tests.errors import raises

# Nine lists of nine, each in the next one: 9 to the power of 9 texts.
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
UNUSABLE = {
    "a bomb": (BOMB, "values"),
    "itself": ("tokenize: &a\n  batch_size_rows: *a\n", "itself"),
    "a list in itself": ("tokenize: &a [*a]\n", "itself"),
    "too deep": ("a: " + "[" * 3000 + "]" * 3000, "nested too deeply"),
    "deep": ("a: " + "[" * 120 + "]" * 120, "100 levels"),
    "no such day": ("seed: 2024-13-45\n", "month"),
    "digits": ("seed: " + "1" * 5000, "digits"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_no_parameter_needs_is_refused_with_the_reason(case: str, tmp_path: Path) -> None:
    text, reason = UNUSABLE[case]
    with pytest.raises(YAMLError):
        load_yaml(text)
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with raises("file-invalid", str(file), reason):
        read_sections(file)
    value = text.partition(": ")[2]
    if "\n" not in value.strip():
        with raises("override-invalid", "seed"):
            read_params_file(Path("params.yaml"), [f"seed={value}"])


def test_references_are_read_where_they_stand_for_little() -> None:
    assert load_yaml("a: &a [1, 2]\nb: [*a, *a]\n")["b"] == [[1, 2], [1, 2]]
