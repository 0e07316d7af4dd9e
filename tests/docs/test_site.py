"""The site builds strictly, its generated pages hold what they are made from, and it loads nothing
from other hosts.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from ruamel.yaml import YAML

from decant.figures.evaluation_figures import Figures
from decant.figures.metrics_file import dotted
from decant.runtime.identity import PROJECT
from decant.runtime.steps import STEPS
from pipelines.__main__ import COMMANDS
from tests.example_figures import figures_of, metrics

Hook = Callable[[str], ModuleType]

_LOADED = re.compile(r'<(?:script|img|link)[^>]+(?:src|href)="(?P<address>[^"]+)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        env=None,
    )
    assert built.returncode == 0, built.stderr
    return folder


@pytest.mark.slow
def test_generated_pages_hold_what_they_are_made_from(site: Path) -> None:
    parameters = (site / "reference/parameters/index.html").read_text()
    assert "finetune" in parameters and "whole number from 1 to 1,000" in parameters
    commands = (site / "reference/commands/index.html").read_text()
    assert [name for name in COMMANDS if f"decant {name}" not in commands] == []
    assert [step for step in STEPS if f"decant step {step}" not in commands] == []
    identity = (site / "concepts/identity/index.html").read_text()
    assert "components/distill" in identity
    assert "<!-- " not in re.sub(r"<!--\[if.*?-->", "", parameters + identity)
    assert (site / "benchmarks/accuracy_latency.png").stat().st_size > 10_000


@pytest.mark.slow
def test_nothing_is_loaded_from_other_hosts(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        for loaded in _LOADED.finditer(page.read_text()):
            is_elsewhere = "://" in loaded["address"] or loaded["address"].startswith("//")
            assert not is_elsewhere, f"{page}: {loaded[0]}"


def test_every_parameter_of_params_yaml_is_found(hook: Hook) -> None:
    tables = hook("parameter_tables")
    text = (PROJECT / "params.yaml").read_text()
    found = {parameter.path: parameter for parameter in tables.read_parameters(text)}
    expected = dict(_leaves(YAML(typ="safe").load(text), ""))
    assert {path for path, parameter in found.items() if parameter.value} == set(expected)
    assert found["tokenize.max_length_tokens"].value == "64"
    assert found["tokenize.max_length_tokens"].comment.startswith("texts are cut there")


def _leaves(content: dict, path: str) -> list[tuple[str, object]]:  # type: ignore[type-arg]
    found: list[tuple[str, object]] = []
    for key, value in content.items():
        if isinstance(value, dict) and value:
            found += _leaves(value, f"{path}{key}.")
        else:
            found.append((f"{path}{key}", value))
    return found


def test_a_table_of_parameters_by_hand(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = hook("parameter_tables")
    monkeypatch.setattr(tables, "allowed_values", lambda section: {"a.b": "`x`, `y`"})
    text = "seed: 1\n\na: # the first\n  # Above.\n  b: x # either\n  c:\n    d: [1, 2]\n"
    parameters = list(tables.read_parameters(text))
    head = "| parameter | default | allowed | meaning |\n|---|---|---|---|\n"
    assert tables.section_tables(parameters, "a") == (
        "What it is for: the first.\n\nAbove.\n\n"
        f"{head}| `b` | `x` | `x`, `y` | either |\n\n"
        f"**c** \n\n{head}| `c.d` | `[1, 2]` |  |  |"
    )
    with pytest.raises(ValueError, match="no section z"):
        tables.section_tables(parameters, "z")
    with pytest.raises(ValueError, match="not a parameter: '- 1'"):
        list(tables.read_parameters("a:\n- 1\n"))


def test_what_is_allowed_comes_from_the_types(hook: Hook) -> None:
    allowed_values = hook("parameter_tables").allowed_values
    finetune, distill = allowed_values("finetune"), allowed_values("distill")
    assert finetune["finetune.device"] == "`auto`, `cpu`, `cuda`"
    assert finetune["finetune.training.epochs"] == "whole number from 1 to 1,000"
    assert finetune["finetune.heads.cnn.dropout"] == "number from 0 below 1"
    assert distill["distill.hard_label_weight"] == (
        "number from 0 to 1 or pair of numbers from 0 to 1"
    )
    assert allowed_values("promotion")["promotion.max_ece"] == "number from 0 to 1 or `null`"


def test_figures_by_hand(hook: Hook) -> None:
    schema = {
        "$defs": {
            "Model": {"properties": {"accuracy": {"type": "number", "description": "Right."}}},
            "Time": {"properties": {"model": {"anyOf": [{"type": "number"}, {"type": "null"}]}}},
        },
        "properties": {
            "student": {"$ref": "#/$defs/Model", "description": "The small\n one."},
            "latency": {
                "additionalProperties": {"$ref": "#/$defs/Time"},
                "description": "Per model.",
            },
            "interval": {"type": "array", "maxItems": 2, "prefixItems": [{"type": "number"}] * 2},
        },
    }
    head = "| key | value | meaning |\n|---|---|---|\n"
    assert hook("figure_tables").figure_tables(schema) == (
        f"## student\n\nThe small one.\n\n{head}| `student.accuracy` | number | Right. |\n\n"
        f"## latency\n\nPer model.\n\n{head}| `latency.MODEL.model` | number or `null` |  |\n\n"
        f"## interval\n\n\n\n{head}| `interval` | pair of numbers |  |"
    )


def test_every_figure_of_a_default_run_is_in_the_reference(hook: Hook) -> None:
    page = hook("figure_tables").figure_tables(Figures.model_json_schema())
    shown = set(re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE))
    models = "|".join((*figures_of(metrics()).compared_with.texts, r"student_minus_\w+"))
    # Below these keys stand models by their names.
    by_model = r"^(latency_p\d\d_us|throughput_rows_per_second|compared_with\.texts|differences)\."
    written = {
        re.sub(rf"{by_model}(?:{models})(?=\.|$)", r"\1.MODEL", path)
        for path in dotted(figures_of(metrics()))
    }
    assert written <= shown


def test_every_error_code_is_in_a_table(hook: Hook) -> None:
    from decant.runtime.error_codes import ERROR_CODES

    tables = hook("error_tables")
    shown = tables.error_tables(tables.CODES_FILE.read_text())
    found = dict(re.findall(r"^\| `(.+)` \| (.+) \|$", shown, re.MULTILINE))
    assert found == ERROR_CODES


def test_rooms_with_the_same_stages_share_a_row(hook: Hook) -> None:
    stages = {
        "one": {"deps": ["artifacts/x", "components/one", "decant/a", "decant/b"]},
        "two": {"deps": ["components/two", "decant/b", "decant/a"]},
    }
    assert hook("stage_tables").rooms_table(stages).splitlines()[2:] == [
        "| `decant/a`, `decant/b` | all stages |",
        "| `components/one` | one |",
        "| `components/two` | two |",
    ]


def test_columns_of_a_docstring_become_a_block(hook: Hook) -> None:
    as_markdown = hook("module_docstrings").as_markdown
    assert as_markdown("Files.\n\na.json    one\nb         two\n\nEnd.") == (
        "Files.\n\n```text\na.json    one\nb         two\n```\n\nEnd."
    )


def test_links_out_of_docs_lead_to_their_place_on_the_site(hook: Hook) -> None:
    class Page:
        class file:
            src_uri = "how-to/page.md"

    text = "![p](../../benchmarks/study/measured/accuracy_latency.png) [x](../index.md#top)"
    assert hook("outside_files").on_page_markdown(text, Page, None, None) == (
        "![p](../benchmarks/accuracy_latency.png) [x](../index.md#top)"
    )
