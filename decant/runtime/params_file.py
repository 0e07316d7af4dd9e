"""A parameter file: what differs from params.yaml, merged over it, then overrides."""

import copy
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml.error import MarkedYAMLError, YAMLError

from decant.runtime import identity
from decant.runtime.errors import UserError
from decant.runtime.secrets import without_secrets
from decant.runtime.settings_errors import did_you_mean, unknown_key
from decant.runtime.yaml_text import load_yaml

NAME = "params.yaml"


def project_params() -> Path:
    """Every parameter with its default. It is in the root of the project."""
    return identity.PROJECT / NAME


def read_params_file(
    file: Path,
    overrides: Iterable[str] = (),
    *,
    presets: Iterable[Path] = (),
    below: Path | None = None,
) -> dict[str, Any]:
    """All sections of params.yaml with the values of a file, of presets, and of overrides.

    Each is merged over the ones before it.

    Args:
        overrides: `section.key=value`, the value as YAML.
        presets: further files of the same form.
        below: the file under all of these; the project's params.yaml by default. Without one,
            the file must have every parameter.

    Raises UserError for a file that cannot be read, and for every key that params.yaml lacks.
    """
    below = below or project_params()
    content = read_sections(file)
    if below.is_file() and not (file.samefile(below)):
        content = laid_over(read_sections(below), content, str(file))
    for preset in presets:
        content = laid_over(content, read_sections(preset), str(preset))
    for override in overrides:
        _apply_override(content, override)
    return content


def read_sections(file: Path) -> dict[str, Any]:
    """The content of one YAML file; one without values is empty."""
    if not file.is_file():
        raise UserError(
            f"no parameter file at {file}", code="file-missing", hint="give --params FILE"
        )
    try:
        content = load_yaml(file.read_text("utf-8"))
    except MarkedYAMLError as error:  # its text would quote the line, which may have a secret
        place = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = str(error.problem).partition(" with value")[0]
        if error.context and error.context_mark:
            problem += f" {error.context} of line {error.context_mark.line + 1}"
        raise UserError(f"{file}{place}: not valid YAML: {problem}", code="file-invalid") from None
    except (YAMLError, UnicodeDecodeError) as error:
        problem = without_secrets(str(error))
        raise UserError(f"{file} is not valid YAML: {problem}", code="file-invalid") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(
            f"{file} is a {type(content).__name__}, not sections of parameters",
            code="file-invalid",
        )
    return content


def merged(content: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the content with the values of `over`.

    Mappings are merged key by key, at every depth. Anything else, a list too, is replaced.
    """
    result = copy.deepcopy(dict(content))
    for key, value in over.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = merged(before, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def laid_over(
    content: Mapping[str, Any], over: Mapping[str, Any], source: str = ""
) -> dict[str, Any]:
    """As `merged`. Raises UserError that names every key that the content lacks, with its value.

    Args:
        source: where `over` comes from, for the message.
    """
    if unknown := list(_unknown(content, over, ())):
        lines = [unknown_key(".".join(path), path, value, known) for path, value, known in unknown]
        hints = {hint for path, _, _ in unknown if (hint := _nested_hint(content, path))}
        place = f"{source}: " if source else ""
        problem = "\n".join(f"{place}{line}" for line in lines)
        raise UserError(problem, code="parameter-unknown", hint="; ".join(sorted(hints)))
    return merged(content, over)


def section_of(content: Mapping[str, Any], step: str, params_class: type[Any]) -> dict[str, Any]:
    """The step's section, plus the shared `seed` where its Params has such a field."""
    section = content.get(step, {})
    if not isinstance(section, dict):
        raise UserError(
            f"parameter section '{step}' is {section!r}, not a mapping of keys",
            code="parameter-value",
        )
    if "seed" in {field.name for field in dataclasses.fields(params_class)}:
        if "seed" not in content:
            raise UserError(
                "the parameter 'seed' is missing",
                code="parameter-missing",
                hint="add `seed: 13` to the file",
            )
        section = {**section, "seed": content["seed"]}
    return section


def _unknown(
    content: Mapping[str, Any], over: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any, list[str]]]:
    """Path, value, and the keys that are allowed there."""
    for key, value in over.items():
        here = (*path, str(key))
        if key not in content:
            yield here, value, [str(name) for name in content]
        elif isinstance(value, Mapping) and isinstance(content[key], Mapping):
            yield from _unknown(content[key], value, here)


def _apply_override(content: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise UserError(
            f"'{without_secrets(override)}' is not a valid override",
            code="override-invalid",
            hint="write SECTION.KEY=VALUE",
        )
    *parents, key = path.split(".")
    target: Any = content
    for parent in parents:
        target = target.get(parent) if isinstance(target, dict) else None
        if not isinstance(target, dict):
            sections = [key for key, value in content.items() if isinstance(value, dict)]
            raise UserError(
                f"no parameter section '{parent}' (from '{without_secrets(override)}')",
                code="parameter-unknown",
                hint=f"{did_you_mean(parent, sections)} sections: {', '.join(sections)}".lstrip(),
            )
    if key not in target:
        raise UserError(
            f"no parameter '{path}'",
            code="parameter-unknown",
            hint=_suggestion(content, parents, key, target),
        )
    try:
        target[key] = load_yaml(text)
    except YAMLError:
        raise UserError(
            f"the value of '{without_secrets(override)}' is not valid YAML: "
            f"{without_secrets(repr(text))}",
            code="override-invalid",
        ) from None


def _suggestion(
    content: Mapping[str, Any], parents: list[str], key: str, target: Mapping[str, Any]
) -> str:
    """Where in the section a key of this name is, else what is allowed here."""
    allowed = list(map(str, target))
    return (
        _nested_hint(content, (*parents, key))
        or f"{did_you_mean(key, allowed)} allowed here: {', '.join(allowed)}".lstrip()
    )


def _nested_hint(content: Mapping[str, Any], path: tuple[str, ...]) -> str:
    """`did you mean distill.training.epochs?` for distill.epochs."""
    *parents, key = path
    section = content.get(parents[0], {}) if parents else content
    if not isinstance(section, Mapping):
        return ""
    nested = [
        ".".join([*parents[:1], str(name), key])
        for name, value in section.items()
        if isinstance(value, Mapping) and key in value
    ]
    return f"did you mean {' or '.join(nested)}?" if nested else ""
