"""Manifests are valid against the published schemas, and say what a cluster needs to know.

Kubernetes' own schemas come with its Python client. KServe's has its place in the cluster: where
KSERVE_CRD names a file with it, InferenceServices are checked against it too.

    kubectl get crd inferenceservices.serving.kserve.io --output yaml >isvc.yaml
    KSERVE_CRD=isvc.yaml python -m pytest tests/pipelines/test_deploy_manifest.py
"""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import kubernetes.client
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from decant.runner.steps_image import SERVE_IMAGE
from pipelines.__main__ import main
from pipelines.commands.deploy_manifest import check_tracking_uri
from pipelines.serving.manifests import USER
from tests.errors import raises

SERVER = "http://mlflow.example:5000"
UNREACHABLE = "http://127.0.0.1:9"  # discard
PRIMITIVES = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": (str, int)}
JSON_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def check_schema(value: Any, schema: dict[str, Any], at: str = "") -> None:
    """A structural OpenAPI v3 schema, as strict as `kubectl --validate=strict`."""
    if schema.get("x-kubernetes-int-or-string"):
        assert isinstance(value, (int, str)) and not isinstance(value, bool), at
        return
    kind = schema["type"]
    assert isinstance(value, JSON_TYPES[kind]), f"{at} is no {kind}"
    assert kind == "boolean" or not isinstance(value, bool), at
    assert "enum" not in schema or value in schema["enum"], at
    assert "pattern" not in schema or re.search(schema["pattern"], value), at
    if kind == "array":
        for index, item in enumerate(value):
            check_schema(item, schema["items"], f"{at}[{index}]")
    if kind == "object" and ("properties" in schema or "additionalProperties" in schema):
        known = schema.get("properties", {})
        others = schema.get("additionalProperties")
        assert set(schema.get("required", ())) <= set(value), at
        assert others or set(value) <= set(known), f"{at}: {set(value) - set(known)}"
        for key, inner in value.items():
            check_schema(inner, known.get(key, others), f"{at}.{key}")


def check_model(value: Any, kind: str, at: str = "") -> None:
    """A model of the Kubernetes API, whose constructors refuse what is required and missing."""
    if match := re.fullmatch(r"list\[(.*)\]", kind):
        assert isinstance(value, list), at
        for index, item in enumerate(value):
            check_model(item, match[1], f"{at}[{index}]")
    elif match := re.fullmatch(r"dict\(str, (.*)\)", kind):
        for key, item in value.items():
            assert isinstance(key, str), at
            check_model(item, match[1], f"{at}.{key}")
    elif kind in PRIMITIVES:
        assert isinstance(value, PRIMITIVES[kind]), at
        assert kind == "bool" or not isinstance(value, bool), at
    else:
        model = getattr(kubernetes.client, kind)
        attributes = {key: name for name, key in model.attribute_map.items()}
        assert set(value) <= set(attributes), f"{at}: {set(value) - set(attributes)}"
        model(**{attributes[key]: inner for key, inner in value.items()})
        for key, inner in value.items():
            check_model(inner, model.openapi_types[attributes[key]], f"{at}.{key}")


@pytest.fixture(scope="module")
def kserve_schema() -> dict[str, Any]:
    """Of InferenceServices, version v1beta1, from a cluster's or a release's definition."""
    if "KSERVE_CRD" not in os.environ:
        pytest.skip("KSERVE_CRD names no file with KServe's schema (see the head of this file)")
    definition = YAML(typ="safe").load(Path(os.environ["KSERVE_CRD"]).read_text("utf-8"))
    versions = {version["name"]: version for version in definition["spec"]["versions"]}
    return dict(versions["v1beta1"]["schema"]["openAPIV3Schema"])


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")


def manifest(folder: Path, *options: str, model: str = "models:/decant-student/3") -> list[Any]:
    file = folder / "serving.yaml"
    arguments = ["deploy-manifest", "--model", model, "--output", str(file)]
    if "--tracking-uri" not in options:
        arguments += ["--tracking-uri", SERVER]
    result = CliRunner().invoke(main, [*arguments, *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return list(YAML(typ="safe").load_all(file.read_text("utf-8")))


def pods_of(document: dict[str, Any]) -> dict[str, Any]:
    spec = document["spec"]
    return dict(spec["predictor"] if "predictor" in spec else spec["template"]["spec"])


def test_an_inference_services_predictor_is_a_pod_with_a_number_of_replicas(tmp_path: Path) -> None:
    (document,) = manifest(tmp_path)
    assert (document["apiVersion"], document["kind"]) == (
        "serving.kserve.io/v1beta1",
        "InferenceService",
    )
    assert set(document["spec"]) == {"predictor"}
    predictor = dict(document["spec"]["predictor"])
    assert predictor.pop("minReplicas") == 2
    check_model(predictor, "V1PodSpec")
    check_model(document["metadata"], "V1ObjectMeta")
    assert predictor["containers"][0]["name"] == "kserve-container"


def test_the_models_refuse_what_is_wrong(tmp_path: Path) -> None:
    """A check of the check."""
    (document,) = manifest(tmp_path)
    container = document["spec"]["predictor"]["containers"][0]
    container["imagePolicy"] = "Always"
    with pytest.raises(AssertionError, match="imagePolicy"):
        check_model(container, "V1Container")
    del container["imagePolicy"]
    container["ports"][0]["containerPort"] = "8080"
    with pytest.raises(AssertionError):
        check_model(container, "V1Container")
    del container["ports"][0]["containerPort"]
    with pytest.raises(ValueError, match="container_port"):
        check_model(container, "V1Container")


def test_an_inference_service_is_valid_against_kserves_schema(
    kserve_schema: dict[str, Any], tmp_path: Path
) -> None:
    (document,) = manifest(tmp_path)
    check_schema(document, kserve_schema)
    container = document["spec"]["predictor"]["containers"][0]
    container["imagePolicy"] = "Always"
    with pytest.raises(AssertionError, match="imagePolicy"):
        check_schema(document, kserve_schema)
    del container["imagePolicy"]
    container["ports"][0]["containerPort"] = "8080"
    with pytest.raises(AssertionError, match=r"containers\[0\]\.ports\[0\]\.containerPort"):
        check_schema(document, kserve_schema)
    del container["ports"][0]["containerPort"]
    with pytest.raises(AssertionError, match=r"ports\[0\]"):
        check_schema(document, kserve_schema)


def test_deployment_and_service_are_valid_and_find_each_other(tmp_path: Path) -> None:
    deployment, service = manifest(tmp_path, "--kind", "deployment", "--replicas", "3")
    check_model(deployment, "V1Deployment")
    check_model(service, "V1Service")
    assert (deployment["apiVersion"], deployment["kind"]) == ("apps/v1", "Deployment")
    assert (service["apiVersion"], service["kind"]) == ("v1", "Service")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert service["spec"]["selector"].items() <= labels.items()
    port = pods_of(deployment)["containers"][0]["ports"][0]["containerPort"]
    assert service["spec"]["ports"][0]["targetPort"] == port
    assert deployment["spec"]["replicas"] == 3


def test_both_kinds_have_different_names(tmp_path: Path) -> None:
    documents = manifest(tmp_path, "--kind", "both", "--namespace", "models")
    assert [document["kind"] for document in documents] == [
        "InferenceService",
        "Deployment",
        "Service",
    ]
    names = [document["metadata"]["name"] for document in documents]
    assert names == ["decant-student", "decant-student-server", "decant-student-server"]
    assert {document["metadata"]["namespace"] for document in documents} == {"models"}
    inference, deployment, _ = documents
    predictor = pods_of(inference)
    del predictor["minReplicas"]
    assert predictor == pods_of(deployment)


def test_a_pod_has_no_rights_probes_and_bounds(tmp_path: Path) -> None:
    (document,) = manifest(tmp_path)
    pod = pods_of(document)
    (container,) = pod["containers"]
    assert container["image"] == SERVE_IMAGE
    security = container["securityContext"]
    assert security["runAsNonRoot"] and security["runAsUser"] == USER
    assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert pod["automountServiceAccountToken"] is False
    port = container["ports"][0]["containerPort"]
    probes = {"startupProbe": "/ready", "readinessProbe": "/ready", "livenessProbe": "/ping"}
    for probe, path in probes.items():
        assert container[probe]["httpGet"] == {"path": path, "port": port}
    assert set(container["resources"]) == {"requests", "limits"}
    writable = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert writable == {pod["volumes"][0]["name"]: "/tmp"}


def test_prometheus_finds_the_figures_of_a_pod_and_of_nothing_else(tmp_path: Path) -> None:
    inference, deployment, service = manifest(tmp_path, "--kind", "both")
    port = str(pods_of(deployment)["containers"][0]["ports"][0]["containerPort"])
    for metadata in (inference["metadata"], deployment["spec"]["template"]["metadata"]):
        annotations = metadata["annotations"]
        assert annotations["prometheus.io/scrape"] == "true"
        assert annotations["prometheus.io/path"] == "/metrics"
        assert annotations["prometheus.io/port"] == port
    for document in (deployment, service):
        assert "prometheus.io/scrape" not in document["metadata"]["annotations"]


def test_the_token_is_a_reference_to_a_secret(tmp_path: Path) -> None:
    (document,) = manifest(tmp_path, "--token-secret", "team-mlflow")
    environment = {entry["name"]: entry for entry in pods_of(document)["containers"][0]["env"]}
    assert environment["MODEL_URI"]["value"] == "models:/decant-student/3"
    # KServe then gives out the address /v2/models/NAME/infer of the service's name.
    assert environment["MODEL_NAME"]["value"] == document["metadata"]["name"]
    assert environment["PROTOCOL"]["value"] == "v2"
    assert environment["MLFLOW_TRACKING_URI"]["value"] == SERVER
    token = environment["MLFLOW_TRACKING_TOKEN"]
    assert "value" not in token
    assert token["valueFrom"]["secretKeyRef"] == {
        "name": "team-mlflow",
        "key": "token",
        "optional": True,
    }


def test_an_alias_becomes_the_version_that_it_names_now(
    tmp_path: Path, empty_mlflow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    client = MlflowClient(store)
    client.create_registered_model("tiny")
    for _ in range(2):
        client.create_model_version("tiny", f"file://{tmp_path}/nothing")
    client.set_registered_model_alias("tiny", "champion", "2")
    (document,) = manifest(tmp_path, model="models:/tiny@champion")
    environment = {entry["name"]: entry for entry in pods_of(document)["containers"][0]["env"]}
    assert environment["MODEL_URI"]["value"] == "models:/tiny/2"
    annotations = document["metadata"]["annotations"]
    assert annotations["decant/model"] == "models:/tiny/2"
    assert annotations["decant/asked-for"] == "models:/tiny@champion"
    assert "which models:/tiny@champion named" in (tmp_path / "serving.yaml").read_text("utf-8")
    with raises("model-version-unknown", "models:/tiny@rival"):
        manifest(tmp_path, model="models:/tiny@rival")


def test_an_alias_of_a_registry_out_of_reach_stays_and_the_manifest_says_so(
    tmp_path: Path,
) -> None:
    (document,) = manifest(tmp_path, "--tracking-uri", UNREACHABLE, model="models:/tiny@champion")
    environment = {entry["name"]: entry for entry in pods_of(document)["containers"][0]["env"]}
    assert environment["MODEL_URI"]["value"] == "models:/tiny@champion"
    comment = (tmp_path / "serving.yaml").read_text("utf-8").partition("apiVersion")[0]
    assert "each pod resolves when it starts" in comment


@pytest.mark.parametrize(
    ("uri", "code", "value"),
    [
        (None, "tracking-local", "none"),
        ("sqlite:///mlflow.db", "tracking-local", "sqlite://..."),
        ("http://", "tracking-local", "http"),
        ("https://me:hidden@mlflow", "secret-exposed", "--token-secret"),
    ],
)
def test_a_server_that_pods_cannot_use_is_refused(uri: str | None, code: str, value: str) -> None:
    with raises(code, value) as refused:
        check_tracking_uri(uri)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "code", "value"),
    [
        (["--image", "registry/decant-serve"], "image-not-fixed", "registry/decant-serve"),
        (["--namespace", "Models"], "option-value", "--namespace Models"),
        (["--name", "x" * 51], "option-value", "--name xxx"),
        (["--token-secret", "a/b"], "option-value", "--token-secret a/b"),
        (["--output", "."], "output-taken", "output ."),
    ],
)
def test_what_a_cluster_would_refuse_is_refused(
    options: list[str], code: str, value: str, tmp_path: Path
) -> None:
    with raises(code, value):
        manifest(tmp_path, *options)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("models:/Décant Student_v2/1", "d-cant-student-v2"),
        ("models:/7 films/1", "model-7-films"),
        (f"models:/{'a' * 49} b/1", "a" * 49),
    ],
)
def test_the_objects_are_named_after_the_model(model: str, name: str, tmp_path: Path) -> None:
    (document,) = manifest(tmp_path, model=model)
    assert document["metadata"]["name"] == name
