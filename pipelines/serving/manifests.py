"""Kubernetes objects that serve one registered model with the serve image.

KServe runs our container, not `modelFormat: mlflow`: its MLflow runtime would have to install the
model's packages into every new pod, and cannot load `models:/`. The serve image has them, pinned,
and answers /ready, /metrics, /invocations and /v2 in the same way behind KServe and a plain
Service.

Security settings are per container: Knative refuses most of them for a pod.
"""

from collections.abc import Mapping
from typing import Any

from decant.runtime.settings import settings

PORT = 8080
USER = 10001
CONTAINER = "kserve-container"  # KServe requires this name
RESOURCES = {
    "requests": {"cpu": "500m", "memory": "512Mi"},
    "limits": {"cpu": "2", "memory": "1Gi"},
}
# By which Prometheus finds the figures of a pod.
METRICS = {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": str(PORT),
    "prometheus.io/path": "/metrics",
}
_MODEL_ANNOTATION = "decant/model"
_REQUESTED_ANNOTATION = "decant/asked-for"


@settings
class ServedModel:
    """What the objects are built from.

    Attributes:
        model: the URI that the pods load; `asked_for` is what it was resolved from.
        tracking_uri: of the MLflow server, as the pods reach it, without secrets.
        token_secret: secret whose key `token` is the server's token; it may be absent.
    """

    name: str
    namespace: str
    model: str
    asked_for: str
    image: str
    tracking_uri: str
    token_secret: str
    replicas: int


def inference_service(served: ServedModel) -> dict[str, Any]:
    """KServe's object (serving.kserve.io/v1beta1)."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": _metadata(served, served.name, METRICS),  # KServe hands them on to the pods
        "spec": {
            "predictor": {
                "minReplicas": served.replicas,
                **_pod(served),
            }
        },
    }


def deployment(served: ServedModel) -> dict[str, Any]:
    """A Deployment that replaces its pods one by one."""
    name = plain_name(served)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(served, name),
        "spec": {
            "replicas": served.replicas,
            "selector": {"matchLabels": _selector(name)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
            },
            "template": {
                "metadata": {
                    "labels": _selector(name),
                    "annotations": _annotations(served)
                    | METRICS,  # a new version replaces the pods
                },
                "spec": _pod(served),
            },
        },
    }


def service(served: ServedModel) -> dict[str, Any]:
    """The Deployment's address inside of the cluster, on port 80."""
    name = plain_name(served)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(served, name),
        "spec": {
            "selector": _selector(name),
            "ports": [{"name": "http", "port": 80, "targetPort": PORT, "protocol": "TCP"}],
        },
    }


def plain_name(served: ServedModel) -> str:
    """Not the model's: KServe makes a Service of that name, and both may be in one namespace."""
    return f"{served.name}-server"


def _pod(served: ServedModel) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "containers": [
            {
                "name": CONTAINER,
                "image": served.image,
                "imagePullPolicy": "IfNotPresent",
                "ports": [{"containerPort": PORT, "protocol": "TCP"}],
                "env": [
                    {"name": "MODEL_URI", "value": served.model},
                    # KServe gives out the address /v2/models/NAME/infer by these.
                    {"name": "MODEL_NAME", "value": served.name},
                    {"name": "PROTOCOL", "value": "v2"},
                    {"name": "MLFLOW_TRACKING_URI", "value": served.tracking_uri},
                    {
                        "name": "MLFLOW_TRACKING_TOKEN",
                        "valueFrom": {
                            "secretKeyRef": {
                                "name": served.token_secret,
                                "key": "token",
                                "optional": True,
                            }
                        },
                    },
                ],
                "resources": {kind: dict(amounts) for kind, amounts in RESOURCES.items()},
                # The model is loaded, and has answered a text: two minutes for that.
                "startupProbe": _probe("/ready", period=2, failures=60),
                "readinessProbe": _probe("/ready", period=5, failures=2),
                "livenessProbe": _probe("/ping", period=10, failures=3),
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": USER,
                    "readOnlyRootFilesystem": True,
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],  # the downloaded model
    }


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": PORT},
        "periodSeconds": period,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }


def _metadata(
    served: ServedModel, name: str, annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if served.namespace:
        metadata["namespace"] = served.namespace
    metadata["labels"] = {**_selector(name), "app.kubernetes.io/managed-by": "decant"}
    metadata["annotations"] = _annotations(served) | dict(annotations or {})
    return metadata


def _annotations(served: ServedModel) -> dict[str, str]:
    return {_MODEL_ANNOTATION: served.model, _REQUESTED_ANNOTATION: served.asked_for}


def _selector(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": name}
