"""Profiles as files: what they may say, how `steps` goes over `all`, how mistakes are problem."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from decant.runtime.errors import UserError
from decant.runtime.steps import STEPS
from pipelines.profiles.profile import Profile, load_profile, shipped_profiles
from pipelines.profiles.profile_settings import Cpu, Match, Volume, cores, size_bytes
from tests.errors import raises

GPU_STEPS = {"finetune", "transfer_weights", "distill"}


def profile_of(tmp_path: Path, content: Any) -> Profile:
    """Write the text, or the mapping as YAML, and load it by its path."""
    file = tmp_path / "mine.yaml"
    if isinstance(content, str):
        file.write_text(content)
    else:
        YAML().dump(content, file)
    return load_profile(str(file))


def refusal(tmp_path: Path, content: Any) -> str:
    with pytest.raises(UserError) as caught:
        profile_of(tmp_path, content)
    message = str(caught.value)
    assert str(tmp_path / "mine.yaml") in message
    return message.replace(f"{tmp_path}/", "")


def test_the_shipped_profiles() -> None:
    assert shipped_profiles() == ("cpu", "gpu", "gpu-spot", "multi-gpu", "multi-node")


@pytest.mark.parametrize("name", shipped_profiles())
def test_every_shipped_profile_loads_for_every_step(name: str) -> None:
    profile = load_profile(name)
    assert tuple(profile.steps) == STEPS
    for step, settings in profile.steps.items():
        assert settings.memory.limit and size_bytes(settings.memory.limit) > 1.5e9, step
        assert settings.cpu.limit and cores(settings.cpu.limit) >= 1, step
        assert settings.shared_memory and settings.timeout_seconds, step
        threads = int(settings.env["OMP_NUM_THREADS"])
        assert threads * max(settings.gpu.count, 1) == cores(settings.cpu.limit), step
    # The default job's largest process has 2.2 GiB; register only uploads.
    for step in set(STEPS) - {"register"}:
        request = profile.steps[step].memory.request
        assert request and size_bytes(request) >= 2.2 * 2**30, step


def test_what_makes_the_shipped_profiles_differ() -> None:
    cpu, gpu, spot, several, nodes = (load_profile(name) for name in shipped_profiles())
    counts = {
        profile.file.stem: {step: one.gpu.count for step, one in profile.steps.items()}
        for profile in (cpu, gpu, spot, several, nodes)
    }
    one_each = {step: int(step in GPU_STEPS) for step in STEPS}
    assert counts["cpu"] == dict.fromkeys(STEPS, 0)
    assert counts["gpu"] == counts["gpu-spot"] == one_each
    assert counts["multi-gpu"] == one_each | {"finetune": 4, "distill": 4}
    assert counts["multi-node"] == counts["multi-gpu"]
    assert {step for step, one in nodes.steps.items() if one.nodes == 2} == {"finetune", "distill"}
    assert {profile.development for profile in (gpu, spot, several, nodes)} == {False}
    for step in GPU_STEPS:
        preempted = spot.steps[step]
        assert preempted.retries and preempted.retries.count >= 3
        assert preempted.retries.factor > 1 and preempted.retries.backoff_seconds > 0
        assert preempted.node_selector and len(preempted.tolerations) > 1
        mount = preempted.volumes["decant-cache"].path
        assert preempted.env["DECANT_CACHE"].startswith(f"{mount}/")
        assert not gpu.steps[step].node_selector
    large = several.steps["distill"].shared_memory
    small = gpu.steps["distill"].shared_memory
    assert large and small and size_bytes(large) > size_bytes(small)


def test_a_profile_may_say_nothing(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "development: true\nall:\nsteps:\n  distill:\n")
    assert profile.development is True
    assert profile.service_account is None and profile.workspace is None
    assert profile.steps["distill"] == profile.steps["ingest"]
    assert profile.steps["distill"].caching is None


def test_steps_go_over_all_key_by_key(tmp_path: Path) -> None:
    profile = profile_of(
        tmp_path,
        """
        service_account: runner
        all:
          cpu: {request: 500m, limit: 4}
          env: {A: "1", B: "2"}
          tolerations: [{key: one, operator: Exists}, {key: two, operator: Exists}]
          volumes: {data: {path: /data, sub_path: inner}}
          shared_memory: 1Gi
          retries: {count: 1, backoff_seconds: 2, factor: 3, max_seconds: 4}
        steps:
          distill:
            cpu: {limit: 8}
            env: {B: "3", C: "4", A: null}
            tolerations: [{key: three, operator: Exists}]
            volumes: {data: {sub_path: null}, more: {path: /more}}
            shared_memory: null
            retries: null
        """,
    )
    general, own = profile.steps["finetune"], profile.steps["distill"]
    assert profile.service_account == "runner"
    assert general.cpu == Cpu(request="500m", limit="4")
    assert own.cpu == Cpu(request="500m", limit="8")  # mappings merge
    assert own.env == {"B": "3", "C": "4"}  # null removes
    assert [one.key for one in own.tolerations] == ["three"]  # lists are replaced
    assert own.volumes == {"data": Volume(path="/data"), "more": Volume(path="/more")}
    assert general.volumes == {"data": Volume(path="/data", sub_path="inner")}
    assert (own.shared_memory, own.retries) == (None, None)
    assert general.shared_memory == "1Gi" and general.retries and general.retries.count == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("all: {cpus: 2}", "all.cpus: unknown key (value 2); known: image, image_pull_policy"),
        ("all: {cpus: 2}", "; did you mean cpu?"),
        ("al: {}", "mine.yaml: al: unknown key; known: development, service_account, workspace"),
        (
            "steps: {distill: {cpu: {limits: 2}}}",
            "steps.distill.cpu.limits: unknown key (value 2); known: request, limit; "
            "did you mean limit?",
        ),
        (
            "steps: {distill: {tolerations: [{key: a, effects: x}]}}",
            "steps.distill.tolerations.0.effects: unknown key (value 'x'); "
            "known: key, operator, value, effect, seconds",
        ),
        (
            "all: {volumes: {data: {sub_path: a}}}",
            "all.volumes.data.path: missing; it has no default",
        ),
        (
            "steps: {fintune: {}}",
            "steps.fintune: no such step\n  hint: did you mean finetune? steps: ingest, tokenize",
        ),
        ("steps: {distill: 3}", "steps.distill: Input should be an object (value 3)"),
        ("development: maybe", "development: Input should be a valid boolean (value 'maybe')"),
        ("all: {gpu: {count: -1}}", "all.gpu.count: Input should be greater than or equal to 0"),
        ("all: {gpu: {count: 0, resource: gpu}}", "all.gpu.resource: String should match pattern"),
        ("all: {image_pull_policy: Sometimes}", "'Always', 'IfNotPresent' or 'Never' (value 'Som"),
        ("all: {cpu: {limit: 2 cores}}", "such as 2, 0.5 or 500m, above 0 (value '2 cores')"),
        ("all: {cpu: {limit: 0}}", "such as 2, 0.5 or 500m, above 0 (value 0)"),
        ("all: {memory: {limit: 4GB}}", "such as 512Mi, 4Gi or 1Ti (value '4GB')"),
        ("all: {memory: {limit: 4000}}", "all.memory.limit: Input should be a valid string"),
        ("all: {node_selector: {spot: true}}", "all.node_selector.spot: Input should be a valid "),
        ("all: {env: {THREADS: 4}}", "all.env.THREADS: Input should be a valid string (value 4)"),
        ("all: {env: {'A-B': x}}", "all.env.A-B: String should match pattern"),
        ("all: {timeout_seconds: 0}", "all.timeout_seconds: Input should be greater than or equal"),
        ("all: {nodes: 0}", "all.nodes: Input should be greater than or equal to 1 (value 0)"),
        ("all: {volumes: {data: {path: data}}}", "an absolute path below /"),
        ("all: {volumes: {data: {path: /a, sub_path: ../b}}}", "a relative path within the volume"),
        ("all: {volumes: {my.data: {path: /a}}}", "all.volumes.my.data: String should match"),
        ("workspace: {size: lots}", "workspace.size: allowed is a whole number with a unit"),
        ("workspace: {}", "workspace.size: missing; it has no default"),
        ("workspace: {size: 1Gi, access_modes: [RW]}", "workspace.access_modes.0: Input should be"),
        ("- a\n- b", "is a list, not a mapping"),
        ("all: {image: 2020-01-01, a: 2020-01-01}", "all.a: unknown key (value '2020-01-01'); kn"),
        (
            "all: {node_selector: {2020-01-01: a}}",
            "all.node_selector: the key 2020-01-01 is a date; write it in quotes",
        ),
        ("all: {retries: {count: 1}}", "all.retries.backoff_seconds: missing; it has no default"),
    ],
)
def test_a_bad_key_is_reported_with_file_key_value_and_what_is_allowed(
    tmp_path: Path, content: str, message: str
) -> None:
    assert message in refusal(tmp_path, content)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("cpu: {request: 3, limit: 2500m}", "cpu: the request 3 is above the limit 2500m"),
        ("memory: {request: 2G, limit: 1Gi}", "memory: the request 2G is above the limit 1Gi"),
        (
            "{shared_memory: 4Gi, memory: {limit: 4Gi}}",
            "shared_memory 4Gi counts as memory of the step and leaves nothing of its limit 4Gi",
        ),
        (
            "{timeout_seconds: 60, retries: "
            "{count: 1, backoff_seconds: 1, factor: 1, max_seconds: 59}}",
            "retries.max_seconds 59 counts from the start of the first attempt and ends it before "
            "its timeout_seconds 60",
        ),
        (
            "{env: {A: x}, env_from_config_maps: {map: {key: A}}}",
            "the environment variable A is used twice: by env and by env_from_config_maps.map",
        ),
        ("env: {KFP_RUN_ID: x}", "KFP_RUN_ID is used twice: by the pipeline and by env"),
        (
            "{volumes: {one: {path: /a}}, secret_files: {two: /a}}",
            "the mount path /a is used twice: by volumes.one and by secret_files.two",
        ),
        (
            "{volumes: {one: {path: /a}}, secret_files: {one: /b}}",
            "the volume name one is used twice: by volumes and by secret_files",
        ),
        (
            "{shared_memory: 1Gi, volumes: {one: {path: /dev/shm}}}",
            "the mount path /dev/shm is used twice: by shared_memory and by volumes.one",
        ),
        (
            "tolerations: [{operator: Exists, value: x}]",
            "tolerations.0: `value` has no meaning with the operator Exists",
        ),
        ("tolerations: [{value: x}]", "tolerations.0: the operator Equal needs a `key`"),
        (
            "tolerations: [{key: a, effect: NoSchedule, seconds: 3}]",
            "tolerations.0: `seconds` is allowed with the effect NoExecute only",
        ),
        (
            "node_affinity: {required: [{key: a, operator: In}]}",
            "node_affinity.required.0: the operator In needs `values`",
        ),
        (
            "node_affinity: {required: [{key: a, operator: Exists, values: [b]}]}",
            "node_affinity.required.0: the operator Exists takes no `values`",
        ),
        (
            "node_affinity: {required: [{key: a, operator: Gt, values: [b]}]}",
            "node_affinity.required.0: the operator Gt takes one whole number in `values`",
        ),
        (
            "node_affinity: {preferred: [{weight: 101, match: [{key: a, operator: Exists}]}]}",
            "node_affinity.preferred.0.weight: Input should be less than or equal to 100",
        ),
    ],
)
def test_settings_that_contradict_each_other(tmp_path: Path, settings: str, message: str) -> None:
    mapping = settings if settings.startswith("{") else f"{{{settings}}}"
    problem = refusal(tmp_path, f"steps: {{distill: {mapping}}}")
    assert message in problem
    assert "mine.yaml: steps.distill" in problem


def test_a_contradiction_between_all_and_a_step_names_the_step(tmp_path: Path) -> None:
    problem = refusal(tmp_path, "{all: {cpu: {request: 4}}, steps: {distill: {cpu: {limit: 2}}}}")
    assert problem == "mine.yaml: steps.distill.cpu: the request 4 is above the limit 2"


def test_every_bad_key_is_reported_at_once_and_each_once(tmp_path: Path) -> None:
    problem = refusal(tmp_path, "{all: {nodes: 0, cpu: {limit: x}}, steps: {distill: {image: 1}}}")
    assert [line.split(":")[1].strip() for line in problem.splitlines()] == [
        "all.cpu.limit",
        "all.nodes",
        "steps.distill.image",
    ]


@pytest.mark.parametrize(
    "name", ["HF_TOKEN", "token", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY", "API_KEY", "secret_sauce"]
)
def test_a_variable_that_looks_like_a_secret_is_refused_and_not_shown(
    tmp_path: Path, name: str
) -> None:
    problem = refusal(tmp_path, {"all": {"env": {name: "hunter2"}}})
    assert f"all.env.{name}: looks like a secret" in problem
    assert f"env_from_secrets: {{NAME-OF-SECRET: {{KEY-IN-SECRET: {name}}}}}" in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "content",
    [
        "all: {env: {MLFLOW_TRACKING_URI: 'https://me:hunter2@mlflow'}}",
        "all: {env: {MLFLOW_TRACKING_URI: 'https://hunter2@mlflow'}}",
        "all: {env: {EXTRA_DATA: 'https://host/a.csv?X-Amz-Signature=hunter2'}}",
        "all: {env: {OTEL_HEADERS: 'Authorization: Bearer hunter2'}}",
        "all: {env: {DB_PASSWORD: [hunter2]}}",
        "all: {hf_token: hunter2}",
        "all: {env: hunter2}",
        "all: {env_from_secrets: {hf: hunter2}}",
        "all:\n  env:\n    HF_TOKEN: hunter2\n   HF_TOKEN: x\n",
        "all: {env: {HF_TOKEN: hunter2, HF_TOKEN: hunter2x}}",
    ],
)
def test_no_message_shows_what_may_be_a_secret(tmp_path: Path, content: str) -> None:
    assert "hunter2" not in refusal(tmp_path, content)


@pytest.mark.parametrize(
    "name", ["TOKENIZERS_PARALLELISM", "AWS_ACCESS_KEY_ID", "GOOGLE_APPLICATION_CREDENTIALS"]
)
def test_other_variables_are_allowed(tmp_path: Path, name: str) -> None:
    profile = profile_of(tmp_path, {"all": {"env": {name: "x"}}})
    assert profile.steps["ingest"].env == {name: "x"}


def test_register_is_never_cached_whatever_the_profile_says(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "all: {caching: true}")
    cached = {step: settings.caching for step, settings in profile.steps.items()}
    assert cached == dict.fromkeys(STEPS, True) | {"register": False}
    problem = refusal(tmp_path, "steps: {register: {caching: true}}")
    assert (
        "steps.register.caching: register is never answered from the cache (value True)" in problem
    )


def test_only_steps_that_train_may_have_several_nodes(tmp_path: Path) -> None:
    shared = "all: {volumes: {data: {path: /data, access_mode: ReadWriteMany}}}"
    several = profile_of(
        tmp_path, f"{shared}\nsteps: {{finetune: {{nodes: 2}}, distill: {{nodes: 4}}}}"
    )
    assert [several.steps[step].nodes for step in ("finetune", "distill", "ingest")] == [2, 4, 1]
    problem = refusal(tmp_path, "steps: {evaluate: {nodes: 2}}")
    assert "steps.evaluate.nodes: evaluate runs on one node (value 2)" in problem
    assert "steps.finetune or steps.distill" in problem
    assert "all.nodes: ingest runs on one node (value 2)" in refusal(tmp_path, "all: {nodes: 2}")


@pytest.mark.parametrize("access", ["", ", access_mode: ReadWriteOnce"])
def test_several_nodes_need_a_volume_that_all_may_write(access: str, tmp_path: Path) -> None:
    volumes = f"workspace: {{size: 1Gi}}\nall: {{volumes: {{data: {{path: /data{access}}}}}}}"
    problem = refusal(tmp_path, f"{volumes}\nsteps: {{distill: {{nodes: 2}}}}")
    assert "steps.distill.nodes: the nodes of distill exchange" in problem
    assert "none of its `volumes` has `access_mode: ReadWriteMany`" in problem
    assert "volumes: {CLAIM: {path: /shared, access_mode: ReadWriteMany}}" in problem


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        (
            "image_pull_policy: Always",
            "image_pull_policy: a TrainJob has no such setting for the 2",
        ),
        ("env: {DECANT_CACHE: /cache}", "env.DECANT_CACHE: all nodes of finetune must see it"),
        (
            "env: {DECANT_CHECKPOINTS: /dataset}",
            "(value '/dataset')\n  hint: set a folder below /data",
        ),
        (
            "env: {DECANT_PROCESSES: many}",
            "env.DECANT_PROCESSES: not a valid number (value 'many')",
        ),
        ("env: {PET_NNODES: '2'}", "PET_NNODES is used twice: by the pipeline and by env"),
        (
            "env: {DECANT_TRAIN_JOB: '{}'}",
            "DECANT_TRAIN_JOB is used twice: by the pipeline and by env",
        ),
    ],
)
def test_what_several_nodes_cannot_have(setting: str, problem: str, tmp_path: Path) -> None:
    volumes = "volumes: {data: {path: /data, access_mode: ReadWriteMany}}"
    text = f"steps: {{finetune: {{nodes: 2, {volumes}, {setting}}}}}"
    assert problem in refusal(tmp_path, text)
    good = profile_of(tmp_path, text.replace(setting, "env: {DECANT_CACHE: /data/cache}"))
    assert good.steps["finetune"].shared_volumes() == [
        Volume(path="/data", access_mode="ReadWriteMany")
    ]


def test_gpus_are_for_steps_that_have_a_device(tmp_path: Path) -> None:
    problem = refusal(tmp_path, "all: {gpu: {count: 1}}")
    assert "all.gpu.count: ingest has no parameter `device`" in problem
    assert "to some of: finetune, transfer_weights, distill" in problem
    problem = refusal(tmp_path, "steps: {evaluate: {gpu: {count: 2}}}")
    assert "steps.evaluate.gpu.count: evaluate has no parameter `device`" in problem
    assert "(value 2)" in problem


def test_several_gpus_are_for_steps_that_run_in_several_processes(tmp_path: Path) -> None:
    problem = refusal(tmp_path, "steps: {transfer_weights: {gpu: {count: 2}}}")
    assert "steps.transfer_weights.gpu.count: transfer_weights runs in one process" in problem
    assert "several can be given to: finetune, distill" in problem
    problem = refusal(tmp_path, "steps: {distill: {gpu: {count: 2}, env: {DECANT_PROCESSES: '1'}}}")
    assert (
        "steps.distill.env.DECANT_PROCESSES: is set to the number of GPUs, 2, by itself" in problem
    )


def test_resources_of_other_makers_and_slices(tmp_path: Path) -> None:
    for resource in ("nvidia.com/mig-1g.5gb", "amd.com/gpu"):
        gpu = {"resource": resource, "count": 1}
        assert (
            profile_of(tmp_path, {"steps": {"distill": {"gpu": gpu}}}).steps["distill"].gpu.resource
            == resource
        )


def test_match_expressions_of_every_operator() -> None:
    for operator, values in (("In", ["a", "b"]), ("NotIn", ["a"]), ("Gt", ["3"]), ("Lt", ["4"])):
        assert Match(key="k", operator=operator, values=values).values == values  # type: ignore[arg-type]
    assert Match(key="k", operator="DoesNotExist").values == []


@pytest.mark.parametrize("name", ["gpus", "./gpu", "missing/gpu.yaml", "../gpu.yml"])
def test_a_missing_profile_names_those_that_exist(name: str) -> None:
    with raises("profile-unknown", f"'{name}'", "cpu, gpu, gpu-spot, multi-gpu") as caught:
        load_profile(name)
    assert name in str(caught.value)


def test_quantities() -> None:
    assert [cores(text) for text in ("500m", "0.5", "2")] == [0.5, 0.5, 2.0]
    assert [size_bytes(text) for text in ("1Ki", "3Mi", "2G")] == [1024, 3 * 2**20, 2 * 10**9]
