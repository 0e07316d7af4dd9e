"""What a line says of a bad key, for parameters and profiles alike."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, model_validator

from decant.runtime.settings import settings
from decant.runtime.settings_errors import (
    Location,
    code_of,
    did_you_mean,
    keys_at,
    shown_value,
    unknown_key,
    validated,
)


@settings
class Inner:
    copies: Annotated[int, Field(ge=0)]
    name: str = ""

    @model_validator(mode="after")
    def _check(self) -> "Inner":
        if self.name == "bad":
            raise ValueError("the name bad is taken")
        return self


@settings
class Outer:
    inner: Inner
    maybe: Inner | None = None
    several: list[Inner] = Field(default_factory=list)
    by_name: dict[str, Inner | None] = Field(default_factory=dict)
    pairs: tuple[Inner, ...] = ()
    free: dict[str, Any] = Field(default_factory=dict)


def lines_of(content: dict[str, Any], **options: Any) -> list[str]:
    found, mistakes = validated(Outer, content, lambda _: "file", **options)
    assert (found is None) == bool(mistakes)
    return [mistake.line for mistake in mistakes]


def test_good_settings_have_no_mistake() -> None:
    found, mistakes = validated(Outer, {"inner": {"copies": 1}}, lambda _: "")
    assert found == Outer(inner=Inner(copies=1))
    assert mistakes == []


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({}, "file.inner: missing; it has no default"),
        ({"inner": {}}, "file.inner.copies: missing; it has no default"),
        (
            {"inner": {"copies": 1, "nam": "x"}},
            "file.inner.nam: unknown key (value 'x'); known: copies, name; did you mean name?",
        ),
        (
            {"inner": {"copies": 1, "z": {"a": 1}}},
            "file.inner.z: unknown key; known: copies, name",
        ),
        (
            {"inner": {"copies": -1}},
            "file.inner.copies: Input should be greater than or equal to 0 (value -1)",
        ),
        ({"inner": {"copies": 1, "name": "bad"}}, "file.inner: the name bad is taken"),
        (
            {"inner": {"copies": [1, "a"]}},
            "file.inner.copies: Input should be a valid integer (value [1, 'a'])",
        ),
    ],
)
def test_a_line_for_each_kind_of_mistake(content: dict[str, Any], line: str) -> None:
    assert lines_of(content) == [line]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("maybe", {"copies": 0, "x": 1}),
        ("several.0", [{"copies": 0, "x": 1}]),
        ("by_name.a", {"a": {"copies": 0, "x": 1}}),
        ("pairs.0", [{"copies": 0, "x": 1}]),
    ],
)
def test_the_known_keys_are_found_in_every_collection(key: str, value: Any) -> None:
    content = {"inner": {"copies": 1}, key.partition(".")[0]: value}
    assert lines_of(content) == [f"file.{key}.x: unknown key (value 1); known: copies, name"]


def test_where_any_key_is_allowed_none_is_named() -> None:
    assert keys_at(Outer, ("free",)) == []
    assert keys_at(Outer, ("free", "a", "b")) == []
    assert keys_at(Outer, ())[:2] == ["inner", "maybe"]


def test_a_line_says_which_part_of_the_file_it_means() -> None:
    def where(path: Location) -> str:
        return "all" if path[:1] == ("inner",) else "steps.distill"

    content = {"inner": {"copies": -1}, "maybe": {}}
    _, mistakes = validated(Outer, content, where)
    assert [mistake.line.partition(":")[0] for mistake in mistakes] == [
        "all.inner.copies",
        "steps.distill.maybe.copies",
    ]


def test_one_code_where_all_agree() -> None:
    def code(content: dict[str, Any]) -> str:
        return code_of(validated(Outer, content, lambda _: "")[1])

    assert code({"inner": {"copies": 1}, "x": 1, "y": 2}) == "parameter-unknown"
    assert code({}) == "parameter-missing"
    assert code({"inner": {"copies": -1}}) == "parameter-value"
    assert code({"x": 1}) == "parameter-value"  # one unknown, one missing


def test_what_json_has_no_form_for_is_named_with_its_place() -> None:
    day = date(2026, 1, 2)
    content = {"inner": {"copies": 1, "name": day}, "several": [{"copies": {day: 1}}]}
    assert lines_of(content) == [
        "file.inner.name: is a date; write it in quotes (value '2026-01-02')",
        "file.several.0.copies: the key 2026-01-02 is a date; write it in quotes",
    ]
    assert lines_of({"inner": {"copies": 1, "name": day}}, default=str) == []
    assert lines_of({"inner": {day: 1}}, default=str) == [
        "file.inner: the key 2026-01-02 is a date; write it in quotes"
    ]
    assert lines_of({"inner": {"copies": 1, "name": Path("a")}}) == [
        "file.inner.name: is of the type PosixPath; write it in quotes (value 'a')"
    ]


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        (("a",), 3, " (value 3)"),
        (("a",), None, " (value None)"),
        (("a",), [1, "b"], " (value [1, 'b'])"),
        (("a",), {"b": 1}, ""),
        (("a",), [{"b": 1}], ""),
        (("a", "HF_TOKEN"), "hunter2", ""),
        (("passwords_secret", 0), "hunter2", ""),
        (("env",), "hunter2", ""),
        (("env", "A"), "b", " (value 'b')"),
        (("a",), "https://me:hunter2@host/x", " (value 'https://host/x')"),
        (("a",), ["DB_PASSWORD=hunter2"], " (value ['DB_PASSWORD=***'])"),
        (("a",), "x" * 500, f" (value '{'x' * 119}…)"),
    ],
)
def test_values_are_shown_short_and_without_secrets(path: Location, value: Any, shown: str) -> None:
    assert shown_value(path, value) == shown


def test_close_names_are_proposed() -> None:
    assert did_you_mean("epoch", ["epochs", "rate"]) == "did you mean epochs?"
    assert did_you_mean("z", ["epochs", "rate"]) == ""
    assert did_you_mean("z", []) == ""
    assert unknown_key("f.a", ("a",), 1, ["b"]) == "f.a: unknown key (value 1); known: b"
