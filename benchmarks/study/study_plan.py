"""A study file: seeds, data sets, variants, and the runs that follow from them.

seeds: [13, 14, 15]
latency_bounds: [0.02, 0.1]      # shares of the teacher's latency below which the best is named
model2vec:                       # the control from the library of that name; null leaves it out
  dimensions: 256
  sif_coefficient: 0.0001
base: {}                         # an overlay of params.yaml for every run
data:                            # name → overlay of params.yaml
  default: {}
  mine: {ingest: {source: data/corpus/mine.csv}}
variants:                        # around the default, which is not listed
  - {name: wide, factor: width, set: {transfer_weights.width: 256}}
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from decant.runtime.errors import UserError
from decant.runtime.identity import canonical_json
from decant.runtime.params_file import laid_over, read_sections, section_of
from decant.runtime.settings import Seed, parse, settings
from decant.runtime.steps import load_step, steps_behind

# What runs per variant. What comes after is measured for all variants together.
CHAIN = steps_behind("evaluate")
DEFAULT = "default"
STUDY_FILE = Path(__file__).with_name("default.yaml")

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=40)]
Overlay = dict[str, Any]


@settings
class Variant:
    """One change of the default.

    Attributes:
        factor: what kind of change it is; the table and the picture group by it.
        set: dotted keys of params.yaml and their values.
        model: which of the run's models represents it in table and picture; all are in study.csv.
        control: true for what the default should beat; never chosen as the best.
    """

    name: Name
    factor: Name
    set: Overlay = Field(default_factory=dict)
    model: Literal["student", "undistilled", "teacher", "teacher_int8"] = "student"
    control: bool = False


@settings
class Model2Vec:
    """How the control is distilled from the pretrained encoder."""

    dimensions: Annotated[int, Field(ge=1, le=8192)]
    sif_coefficient: Annotated[float, Field(gt=0, lt=1)]


@settings
class Study:
    seeds: Annotated[list[Seed], Field(min_length=1)]
    latency_bounds: list[Annotated[float, Field(gt=0, le=1)]]
    model2vec: Model2Vec | None
    base: Overlay = Field(default_factory=dict)
    data: Annotated[dict[Name, Overlay], Field(min_length=1)]
    variants: list[Variant]

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [variant.name for variant in self.variants]
        if DEFAULT in names:
            raise ValueError(
                f"a variant is called '{DEFAULT}', which always runs and is not listed"
            )
        for kind, values in (("variants", names), ("seeds", [str(seed) for seed in self.seeds])):
            if twice := sorted({value for value in values if values.count(value) > 1}):
                raise ValueError(f"{kind} listed twice: {', '.join(twice)}")
        return self


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """One variant on one data set with one seed; `params` holds every section of params.yaml."""

    data: str
    variant: str
    seed: int
    params: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.data}, {self.variant}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The chosen part of a study.

    Attributes:
        variants: by name, the default first; those that change nothing on any data set left out.
        same_as_default: the names of the latter.
        runs: in the order in which they run.
    """

    study: Study
    seeds: tuple[int, ...]
    data: tuple[str, ...]
    variants: Mapping[str, Variant]
    same_as_default: tuple[str, ...]
    runs: tuple[Run, ...]


def read_study(file: Path) -> Study:
    """Raises UserError naming every bad key, its value and what is allowed."""
    if not file.is_file():
        raise UserError(f"no study file at {file}", code="file-missing", hint="give --study FILE")
    return parse_study(read_sections(file))


def parse_study(content: Mapping[str, Any]) -> Study:
    """As `read_study`; a wrong variant is named by its place in the list, from 0."""
    variants = content.get("variants")
    for index, variant in enumerate(variants if isinstance(variants, list) else ()):
        if isinstance(variant, dict):
            parse(Variant, variant, f"study.variants.{index}")
    return parse(Study, content, "study")


def make_plan(
    study: Study,
    params: Mapping[str, Any],
    *,
    data: Sequence[str] = (),
    variants: Sequence[str] = (),
    seeds: Sequence[int] = (),
) -> Plan:
    """Choose from the study (nothing named: all of it) and merge it over params.yaml's content.

    The default is always among the variants: all others are compared with it.

    Raises UserError for a name that the study lacks, and, before anything runs, for every overlay
    that does not fit params.yaml or the parameters of a step.
    """
    chosen_data = _chosen(data, study.data, "data set")
    default = Variant(name=DEFAULT, factor=DEFAULT)
    by_name = {variant.name: variant for variant in (default, *study.variants)}
    names = _chosen(variants, by_name, "variant")
    wanted = [by_name[name] for name in by_name if name in names or name == DEFAULT]
    contents = _contents(study, params, chosen_data, wanted)

    def changes_nothing(variant: Variant) -> bool:
        return variant.model == "student" and all(
            _trained_by(contents[name, variant.name]) == _trained_by(contents[name, DEFAULT])
            for name in chosen_data
        )

    same = tuple(variant.name for variant in wanted[1:] if changes_nothing(variant))
    kept = {variant.name: variant for variant in wanted if variant.name not in same}
    all_seeds = tuple(seeds) or tuple(study.seeds)
    return Plan(
        study=study,
        seeds=all_seeds,
        data=tuple(chosen_data),
        variants=kept,
        same_as_default=same,
        runs=tuple(
            Run(
                data=name,
                variant=variant,
                seed=seed,
                params=contents[name, variant] | {"seed": seed},
            )
            for variant in kept
            for seed in all_seeds
            for name in chosen_data
        ),
    )


def nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """{"a.b": 1, "a.c": 2} as {"a": {"b": 1, "c": 2}}."""
    result: dict[str, Any] = {}
    for path, value in dotted.items():
        *parents, key = path.split(".")
        target = result
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                raise UserError(
                    f"'{path}' is inside of '{parent}', which has a value itself",
                    code="parameter-conflict",
                )
        target[key] = value
    return result


def _chosen(names: Sequence[str], known: Iterable[str], kind: str) -> list[str]:
    """The names, or all known ones where none is given."""
    known = list(known)
    if unknown := [name for name in names if name not in known]:
        raise UserError(
            f"the study has no {kind} '{unknown[0]}'",
            code="study-name-unknown",
            hint=f"it has: {', '.join(known)}",
        )
    return [name for name in known if not names or name in names]


def _contents(
    study: Study, params: Mapping[str, Any], data: Sequence[str], variants: Sequence[Variant]
) -> dict[tuple[str, str], dict[str, Any]]:
    """The whole content of params.yaml per (data set, variant), every section checked."""
    contents: dict[tuple[str, str], dict[str, Any]] = {}
    problems: dict[str, list[str]] = {}  # message → where; one mistake shows on every data set
    for name in data:
        for variant in variants:
            try:
                content = params
                for overlay in (study.base, study.data[name], nested(variant.set)):
                    content = laid_over(content, overlay)
                for step in (*CHAIN, "evaluate"):
                    declared = load_step(step).params
                    parse(declared, section_of(content, step, declared), step)
                contents[name, variant.name] = dict(content)
            except UserError as error:
                problems.setdefault(str(error), []).append(f"{variant.name} on {name}")
    if problems:
        lines = [f"{', '.join(where)}: {message}" for message, where in problems.items()]
        raise UserError(
            "variants do not fit the parameters:\n" + "\n".join(lines), code="parameter-value"
        )
    return contents


def _trained_by(content: Mapping[str, Any]) -> str:
    return canonical_json({step: content.get(step) for step in CHAIN})
