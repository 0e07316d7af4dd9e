"""The settings of one step in a cluster profile: their types, units and bounds.

Names follow Kubernetes. Settings that a profile leaves out have the defaults of KFP and the
cluster. There is no pod affinity: kfp.kubernetes has no setter for it.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from decant.runner.train_job.node_plan import VARIABLE as PLAN_VARIABLE
from decant.runtime.settings import settings
from decant.training.processes import TORCHRUN_VARIABLES

SHARED_MEMORY_PATH = "/dev/shm"
SHARED_MEMORY_VOLUME = "shm"

# Set by the pipeline itself and, with several nodes, by Kubeflow Trainer.
RESERVED_VARIABLES = ("KFP_RUN_ID", PLAN_VARIABLE, *TORCHRUN_VARIABLES)

AccessMode = Literal["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"]

_BYTES = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BYTES |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def _cores_text(value: Any) -> Any:
    """A number of YAML as text; kfp reads `2`, `0.5` and `500m`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


def _cores(value: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+)?|\d+m", value) or cores(value) == 0:
        raise ValueError("allowed are cores, such as 2, 0.5 or 500m, above 0")
    return value


def _bytes(value: str) -> str:
    # kfp does not support Kubernetes' lower-case `k`, nor Kubernetes kfp's `K`: neither is allowed.
    if not re.fullmatch(r"[1-9]\d*(Ki|Mi|Gi|Ti|M|G|T)", value):
        raise ValueError("allowed is a whole number with a unit, such as 512Mi, 4Gi or 1Ti")
    return value


def _path(value: str) -> str:
    if not re.fullmatch(r"(/[^/:\s]+)+", value) or "/../" in f"{value}/":
        raise ValueError("allowed is an absolute path below /, without colon or `..`")
    return value


def _sub_path(value: str) -> str:
    if value.startswith("/") or not value or ".." in value.split("/"):
        raise ValueError("allowed is a relative path within the volume, without `..`")
    return value


def cores(quantity: str) -> float:
    """Cores of a CPU quantity: 0.5 of `500m`."""
    return int(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def size_bytes(quantity: str) -> int:
    """Bytes of a memory quantity: 1024 of `1Ki`."""
    number, unit = re.fullmatch(r"(\d+)(\w+)", quantity).groups()  # type: ignore[union-attr]
    return int(number) * _BYTES[unit]


Cores = Annotated[str, BeforeValidator(_cores_text), AfterValidator(_cores)]
Bytes = Annotated[str, AfterValidator(_bytes)]
MountPath = Annotated[str, AfterValidator(_path)]
SubPath = Annotated[str, AfterValidator(_sub_path)]
Text = Annotated[str, Field(min_length=1)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
# Names of Kubernetes objects. KFP calls a volume by its claim or secret, hence the narrower form.
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=253)]
VolumeName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]


@settings
class Cpu:
    """Cores; a request alone reserves, a limit alone is both."""

    request: Cores | None = None
    limit: Cores | None = None

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.request and self.limit and cores(self.request) > cores(self.limit):
            raise ValueError(f"the request {self.request} is above the limit {self.limit}")
        return self


@settings
class Memory:
    """Bytes with a unit. A process above the limit is killed."""

    request: Bytes | None = None
    limit: Bytes | None = None

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.request and self.limit and size_bytes(self.request) > size_bytes(self.limit):
            raise ValueError(f"the request {self.request} is above the limit {self.limit}")
        return self


@settings
class Gpu:
    """GPUs, or slices of one, of each of the step's nodes.

    Attributes:
        resource: name in the cluster's device plugin: nvidia.com/gpu, nvidia.com/mig-1g.5gb,
            amd.com/gpu.
        count: 0 requests none.
    """

    resource: Annotated[str, Field(pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")] = "nvidia.com/gpu"
    count: Annotated[int, Field(ge=0)] = 0


@settings
class Toleration:
    """Of a taint. Without `effect` it tolerates all effects.

    Attributes:
        seconds: how long a pod stays on a node that gets a NoExecute taint; no limit without it.
    """

    key: Text | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    seconds: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _check_rules_of_kubernetes(self) -> Self:
        if self.operator == "Exists" and self.value is not None:
            raise ValueError("`value` has no meaning with the operator Exists")
        if self.operator == "Equal" and self.key is None:
            raise ValueError("the operator Equal needs a `key`")
        if self.seconds is not None and self.effect != "NoExecute":
            raise ValueError("`seconds` is allowed with the effect NoExecute only")
        return self


@settings
class Match:
    """A condition on a label of the node."""

    key: Text
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _check_values(self) -> Self:
        match self.operator:
            case "In" | "NotIn" if not self.values:
                raise ValueError(f"the operator {self.operator} needs `values`")
            case "Exists" | "DoesNotExist" if self.values:
                raise ValueError(f"the operator {self.operator} takes no `values`")
            case "Gt" | "Lt" if len(self.values) != 1 or not self.values[0].isdecimal():
                raise ValueError(f"the operator {self.operator} takes one whole number in `values`")
        return self


@settings
class Preference:
    """Nodes that match all of it are preferred by the weight, 1 to 100."""

    weight: Annotated[int, Field(ge=1, le=100)]
    match: Annotated[list[Match], Field(min_length=1)]


@settings
class NodeAffinity:
    """A node must match all of `required`; each entry of `preferred` counts by itself."""

    required: list[Match] = Field(default_factory=list)
    preferred: list[Preference] = Field(default_factory=list)


@settings
class Volume:
    """Where an existing claim is mounted, and which folder of it (all of it without `sub_path`).

    Attributes:
        access_mode: that of the claim. Only several nodes need it: ReadWriteMany.
    """

    path: MountPath
    sub_path: SubPath | None = None
    access_mode: AccessMode | None = None


@settings
class Retries:
    """After a lost pod: evicted, deleted, its node gone.

    By the default of Kubeflow Pipelines 2.17 a step that ends with an error is not tried again,
    whatever these say. A step itself tries again what passes (decant/runtime/retrying.py).

    Attributes:
        count: attempts after the first.
        backoff_seconds: before the first retry; multiplied by `factor` from retry to retry.
        max_seconds: from the start of the first attempt, over all attempts.
    """

    count: Annotated[int, Field(ge=0, le=100)]
    backoff_seconds: Annotated[int, Field(ge=0)]
    factor: Annotated[float, Field(ge=1)]
    max_seconds: Annotated[int, Field(ge=1)]


@settings
class StepSettings:
    """How and where one step runs.

    Attributes:
        image: the command line overrides it; by default decant-steps of this version, or
            decant-steps-cpu where no GPU is requested.
        image_pull_secrets: names of Kubernetes secrets.
        shared_memory: size of /dev/shm, a part of the memory limit; 64 MiB without it.
        volumes: existing claim → where it is mounted.
        env: variable → value. Nothing secret.
        env_from_secrets, env_from_config_maps: name → its key → variable.
        secret_files: secret → folder in which each of its keys is a file.
        timeout_seconds: of one attempt.
        caching: whether KFP may answer the step from its cache; never for register.
        nodes: pods that train together as a TrainJob, each with all of the above. They share the
            first volume with the access mode ReadWriteMany.
    """

    image: Text | None = None
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    image_pull_secrets: list[ObjectName] = Field(default_factory=list)
    cpu: Cpu = Field(default_factory=Cpu)
    memory: Memory = Field(default_factory=Memory)
    gpu: Gpu = Field(default_factory=Gpu)
    shared_memory: Bytes | None = None
    node_selector: dict[Text, str] = Field(default_factory=dict)
    tolerations: list[Toleration] = Field(default_factory=list)
    node_affinity: NodeAffinity = Field(default_factory=NodeAffinity)
    volumes: dict[VolumeName, Volume] = Field(default_factory=dict)
    env: dict[Variable, str] = Field(default_factory=dict)
    env_from_secrets: dict[ObjectName, dict[Text, Variable]] = Field(default_factory=dict)
    env_from_config_maps: dict[ObjectName, dict[Text, Variable]] = Field(default_factory=dict)
    secret_files: dict[VolumeName, MountPath] = Field(default_factory=dict)
    retries: Retries | None = None
    timeout_seconds: Annotated[int, Field(ge=1)] | None = None
    caching: bool | None = None
    nodes: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        _refuse_twice("environment variable", self.variables())
        _refuse_twice("volume name", self._volume_names())
        _refuse_twice("mount path", self._mount_paths())
        limit = self.memory.limit
        if self.shared_memory and limit and size_bytes(self.shared_memory) >= size_bytes(limit):
            raise ValueError(
                f"shared_memory {self.shared_memory} counts as memory of the step and leaves "
                f"nothing of its limit {limit}"
            )
        if self.retries and (self.timeout_seconds or 0) > self.retries.max_seconds:
            raise ValueError(
                f"retries.max_seconds {self.retries.max_seconds} counts from the start of the "
                f"first attempt and ends it before its timeout_seconds {self.timeout_seconds}"
            )
        return self

    def variables(self) -> Iterator[tuple[str, str]]:
        """Every environment variable, and what sets it."""
        yield from ((name, "the pipeline") for name in RESERVED_VARIABLES)
        yield from ((name, "env") for name in self.env)
        for source in ("env_from_secrets", "env_from_config_maps"):
            for owner, keys in getattr(self, source).items():
                yield from ((name, f"{source}.{owner}") for name in keys.values())

    def shared_volumes(self) -> list[Volume]:
        """Those that several nodes may write at a time."""
        return [one for one in self.volumes.values() if one.access_mode == "ReadWriteMany"]

    def _volume_names(self) -> Iterator[tuple[str, str]]:
        if self.shared_memory:
            yield SHARED_MEMORY_VOLUME, "shared_memory"
        yield from ((name, "volumes") for name in self.volumes)
        yield from ((name, "secret_files") for name in self.secret_files)

    def _mount_paths(self) -> Iterator[tuple[str, str]]:
        if self.shared_memory:
            yield SHARED_MEMORY_PATH, "shared_memory"
        yield from ((volume.path, f"volumes.{name}") for name, volume in self.volumes.items())
        yield from ((path, f"secret_files.{name}") for name, path in self.secret_files.items())


def _refuse_twice(what: str, uses: Iterator[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for name, place in uses:
        if name in seen:
            raise ValueError(f"the {what} {name} is used twice: by {seen[name]} and by {place}")
        seen[name] = place
