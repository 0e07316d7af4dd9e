"""Cluster profiles: how, where and on which hardware the compiled steps run.

    development: false        # true: an image needs a fixed tag only, not a digest
    service_account: decant   # of the run; a package cannot have it, so `submit` sets it
    workspace: {size: 10Gi}   # KFP's volume of the run; see Workspace
    staging: s3://bucket/decant  # where local data and encoders are sent; or a folder on a claim
    all: {cpu: {limit: 4}}    # for every step; the keys of profile_settings.StepSettings
    steps:                    # per step, over `all`
      finetune: {gpu: {count: 1}}

How a step's entry overrides `all`:

- mappings are merged key by key, at every depth;
- anything else (number, text, list) replaces the value of `all`; lists are never joined;
- `null` removes the value of `all`, so that the default of KFP and the cluster applies.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from decant.runtime.errors import UserError
from decant.runtime.params_file import merged
from decant.runtime.secrets import holds_secret, looks_secret
from decant.runtime.settings import settings
from decant.runtime.settings_errors import Location, Mistake, did_you_mean, keys_at, validated
from decant.runtime.steps import STEPS, load_step
from decant.runtime.yaml_text import UnusableYaml, load_yaml
from decant.training.processes import VARIABLE as PROCESSES_VARIABLE
from pipelines.profiles.profile_settings import AccessMode, Bytes, ObjectName, StepSettings, Text

FOLDER = Path(__file__).parent
# The steps whose training can be spread over nodes.
SEVERAL_NODES = ("finetune", "distill")
# Folders in which processes leave results for other processes or a later attempt.
KEPT_VARIABLES = ("DECANT_CACHE", "DECANT_CHECKPOINTS")
# It reads the registry, which may have changed.
NEVER_CACHED = "register"


@settings
class Workspace:
    """A volume that KFP makes for a run and removes after it.

    KFP mounts it at /kfp-workspace in those steps only whose parameters name a path in it
    (`{{$.workspace_path}}/...`).
    """

    size: Bytes
    storage_class: Text | None = None
    access_modes: Annotated[list[AccessMode], Field(min_length=1)] | None = None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The content of a profile.

    Attributes:
        steps: the settings of every step, `all` and its own already merged.
        service_account: for the submitter, which gives it to the run.
        staging: bucket or folder to which local data and encoders are sent.
    """

    file: Path
    development: bool
    service_account: str | None
    workspace: Workspace | None
    steps: Mapping[str, StepSettings]
    staging: str | None = None


@settings
class _File:
    development: bool = False
    service_account: ObjectName | None = None
    workspace: Workspace | None = None
    staging: Text | None = None
    all: dict[str, Any] | None = None
    steps: dict[str, dict[str, Any] | None] | None = None


def shipped_profiles() -> tuple[str, ...]:
    """The names that `--profile` takes, sorted."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))


def load_profile(name_or_path: str) -> Profile:
    """Read a shipped profile by its name, or a user's own by the path of its YAML file.

    Raises UserError naming file, key, value and what is allowed, for every bad key.
    """
    file = _find(name_or_path)
    content = _read(file)
    header, mistakes = validated(_File, content, lambda _: "", default=str)
    if header is None:
        raise UserError(_lines(file, mistakes), code="profile-value")
    general, own = header.all or {}, {k: v or {} for k, v in (header.steps or {}).items()}
    if unknown := sorted(set(own) - set(STEPS)):
        raise UserError(
            f"{file}: steps.{unknown[0]}: no such step",
            code="step-unknown",
            hint=f"{did_you_mean(unknown[0], STEPS)} steps: {', '.join(STEPS)}".lstrip(),
        )
    steps: dict[str, StepSettings] = {}
    for step in STEPS:
        own_settings = own.get(step, {})
        both = _without_nulls(merged(general, own_settings))
        if step == NEVER_CACHED:
            _refuse_caching(file, own_settings)
            both["caching"] = False
        # YAML reads 2026-01-02 as a date: text here.
        parsed, found = validated(StepSettings, both, _section(step, own_settings), default=str)
        mistakes += found
        if parsed is not None:
            steps[step] = parsed
    if mistakes:
        raise UserError(_lines(file, mistakes), code="profile-value")
    for step, parsed in steps.items():
        _check_step(file, step, parsed, _section(step, own.get(step, {})))
    return Profile(
        file=file,
        development=header.development,
        service_account=header.service_account,
        workspace=header.workspace,
        steps=steps,
        staging=header.staging,
    )


def _find(name_or_path: str) -> Path:
    if "/" in name_or_path or name_or_path.endswith((".yaml", ".yml")):
        file = Path(name_or_path)
    else:
        file = FOLDER / f"{name_or_path}.yaml"
    if not file.is_file():
        raise UserError(
            f"no profile '{name_or_path}'",
            code="profile-unknown",
            hint=f"give the path of a YAML file, or one of: {', '.join(shipped_profiles())}",
        )
    return file


def _read(file: Path) -> dict[str, Any]:
    try:
        content = load_yaml(file.read_text("utf-8"))
    except MarkedYAMLError as error:  # its text would quote the line, which may have a secret
        place = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = str(error.problem).partition(" with value")[0]
        raise UserError(f"{file}{place}: not valid YAML: {problem}", code="file-invalid") from None
    except UnusableYaml as error:
        raise UserError(f"{file} cannot be used: {error}", code="file-invalid") from None
    except (YAMLError, UnicodeDecodeError):
        raise UserError(f"{file} is not valid YAML", code="file-invalid") from None
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}", code="file-unreadable") from None
    if not isinstance(content, dict):
        raise UserError(
            f"{file} is a {type(content).__name__}, not a mapping",
            code="file-invalid",
            hint=f"keys: {', '.join(keys_at(_File, ()))}",
        )
    return content


def _without_nulls(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nulls(value) if isinstance(value, dict) else value
        for key, value in content.items()
        if value is not None
    }


def _section(step: str, own: Mapping[str, Any]) -> Callable[[Location], str]:
    """The part of the file that sets a path of the merged settings."""

    def section(path: Location) -> str:
        at: Any = own
        for part in path:
            if isinstance(at, dict) and part in at:
                at = at[part]
            elif isinstance(at, list):  # replaced as a whole: all of it is the step's own
                break
            else:
                return "all"
        return f"steps.{step}" if own else "all"

    return section


def _lines(file: Path, mistakes: list[Mistake]) -> str:
    return "\n".join(f"{file}: {one.line}" for one in dict.fromkeys(mistakes))


def _refuse_caching(file: Path, own: Mapping[str, Any]) -> None:
    if own.get("caching") is True:
        raise UserError(
            f"{file}: steps.{NEVER_CACHED}.caching: {NEVER_CACHED} is never answered from the "
            "cache (value True), since the registry may have changed",
            code="profile-value",
            hint="remove the key",
        )


def _check_step(
    file: Path, step: str, parsed: StepSettings, section: Callable[[Location], str]
) -> None:
    """Checks that depend on the step, and on values that must not be shown."""
    if parsed.nodes > 1 and step not in SEVERAL_NODES:
        raise UserError(
            f"{file}: {section(('nodes',))}.nodes: {step} runs on one node (value {parsed.nodes})",
            code="profile-value",
            hint=f"set it in steps.{' or steps.'.join(SEVERAL_NODES)}",
        )
    if parsed.nodes > 1:
        _check_nodes(file, step, parsed, section)
    if parsed.gpu.count and not has_device(step):
        able = ", ".join(name for name in STEPS if has_device(name))
        raise UserError(
            f"{file}: {section(('gpu', 'count'))}.gpu.count: {step} has no parameter `device` and "
            f"would leave the GPU idle (value {parsed.gpu.count})",
            code="profile-conflict",
            hint=f"give GPUs in `steps`, to some of: {able}",
        )
    if parsed.gpu.count > 1 and not load_step(step).parallel:
        able = ", ".join(name for name in STEPS if load_step(name).parallel)
        raise UserError(
            f"{file}: {section(('gpu', 'count'))}.gpu.count: {step} runs in one process and would "
            f"leave all GPUs but one idle (value {parsed.gpu.count})",
            code="profile-conflict",
            hint=f"give it 1; several can be given to: {able}",
        )
    if parsed.gpu.count > 1 and PROCESSES_VARIABLE in parsed.env:
        raise UserError(
            f"{file}: {section(('env', PROCESSES_VARIABLE))}.env.{PROCESSES_VARIABLE}: is set to "
            f"the number of GPUs, {parsed.gpu.count}, by itself",
            code="profile-value",
            hint="leave it out",
        )
    for name, value in parsed.env.items():
        if looks_secret(name) or holds_secret(value):
            raise UserError(
                f"{file}: {section(('env', name))}.env.{name}: looks like a secret, which everyone "
                "with access to the package could read",
                code="secret-exposed",
                hint="put it into a Kubernetes secret and write "
                f"`env_from_secrets: {{NAME-OF-SECRET: {{KEY-IN-SECRET: {name}}}}}`",
            )


def _check_nodes(
    file: Path, step: str, parsed: StepSettings, section: Callable[[Location], str]
) -> None:
    """What several nodes of a step need, and settings that a TrainJob lacks."""
    shared = parsed.shared_volumes()
    if not shared:
        raise UserError(
            f"{file}: {section(('nodes',))}.nodes: the nodes of {step} exchange what they read and "
            "write over a volume, and none of its `volumes` has `access_mode: ReadWriteMany` "
            f"(they cannot use KFP's own workspace) (value {parsed.nodes})",
            code="profile-conflict",
            hint="create such a claim once and write "
            "`volumes: {CLAIM: {path: /shared, access_mode: ReadWriteMany}}`",
        )
    if parsed.image_pull_policy not in (None, "IfNotPresent"):
        raise UserError(
            f"{file}: {section(('image_pull_policy',))}.image_pull_policy: a TrainJob has no such "
            f"setting for the {parsed.nodes} nodes of {step} (value {parsed.image_pull_policy!r})",
            code="profile-conflict",
            hint="write IfNotPresent, as Kubernetes does with a fixed tag or a digest",
        )
    for name in set(KEPT_VARIABLES) & set(parsed.env):
        value = parsed.env[name]
        if not any(Path(value).is_relative_to(volume.path) for volume in shared):
            raise UserError(
                f"{file}: {section(('env', name))}.env.{name}: all nodes of {step} must see it, so "
                f"it must be on a volume with the access mode ReadWriteMany (value {value!r})",
                code="profile-value",
                hint=f"set a folder below {shared[0].path}",
            )
    number = parsed.env.get(PROCESSES_VARIABLE, "1")
    if not number.isdecimal() or int(number) < 1:
        where = section(("env", PROCESSES_VARIABLE))
        raise UserError(
            f"{file}: {where}.env.{PROCESSES_VARIABLE}: not a valid number (value {number!r})",
            code="profile-value",
            hint="give 1 or more",
        )


def has_device(step: str) -> bool:
    """Whether the step computes on a GPU with a `device` parameter."""
    return "device" in {field.name for field in dataclasses.fields(load_step(step).params)}
