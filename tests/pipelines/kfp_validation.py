"""What a Kubeflow Pipelines server refuses.

Packages are checked with kfp's own protobuf messages, a run's parameters against the pipeline's
inputs, bodies for fields that the API does not have.
"""

from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2
from ruamel.yaml import YAML

KINDS: dict[str, type] = {"STRING": str, "BOOLEAN": bool, "LIST": list, "STRUCT": dict}


class Refusal(Exception):
    """An HTTP status other than 200, and the message of its answer."""

    def __init__(self, status: int, message: str, *, is_upload: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = (
            {"error_message": message, "error_details": f"{message}\nstack"}
            if is_upload
            else {
                "code": status,
                "message": f"Failed: {message}: with a long story of wrapped errors\n  stack",
                "details": [{"@type": "type.googleapis.com/google.rpc.Status", "message": message}],
            }
        )


def read_upload(body: bytes, content_type: str) -> list[dict[str, Any]]:
    """The package of a multipart form, valid by kfp's own messages."""
    message = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    )
    parts = {part.get_param("name", header="content-disposition"): part for part in message.walk()}
    part = parts.get("uploadfile")
    if part is None or not str(part.get_filename()).endswith((".yaml", ".yml")):
        raise Refusal(400, "Failed to read pipeline from file", is_upload=True)
    documents = list(YAML(typ="safe").load_all(part.get_payload(decode=True).decode()))
    try:
        check_package(documents)
    except json_format.ParseError as error:
        raise Refusal(
            400, f"Failed to read a pipeline spec file: {error}", is_upload=True
        ) from None
    return documents


def check_package(documents: list[dict[str, Any]]) -> None:
    """Raises ParseError for a document that kfp's messages do not know."""
    specification = pipeline_spec_pb2.PipelineSpec()
    json_format.ParseDict(documents[0], specification)
    for task in specification.root.dag.tasks.values():
        if task.component_ref.name not in specification.components:
            raise json_format.ParseError(f"no component {task.component_ref.name}")
    for document in documents[1:]:
        platform = pipeline_spec_pb2.PlatformSpec()
        json_format.ParseDict(document, platform)
        for executor in platform.platforms["kubernetes"].deployment_spec.executors.values():
            json_format.ParseDict(
                json_format.MessageToDict(executor),
                kubernetes_executor_config_pb2.KubernetesExecutorConfig(),
            )


def check_parameters(specification: dict[str, Any], given: dict[str, Any]) -> None:
    wanted = specification["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, definition in wanted.items():
        if name not in given:
            if "defaultValue" not in definition and not definition.get("isOptional"):
                raise Refusal(400, f"parameter {name} is not optional")
        elif not isinstance(given[name], KINDS.get(definition["parameterType"], (int, float))):
            raise Refusal(400, f"input parameter {name} requires {definition['parameterType']}")
    if extra := sorted(set(given) - set(wanted)):
        raise Refusal(400, f"parameter(s) provided are not required by pipeline: {extra}")


def no_other_fields(body: dict[str, Any], model: Any) -> None:
    if unknown := sorted(set(body) - set(model.attribute_map.values())):
        raise Refusal(400, f'unknown field "{unknown[0]}"')
