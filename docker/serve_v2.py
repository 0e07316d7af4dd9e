"""The Open Inference Protocol, version 2: what it asks and what it answers, as tensors.

https://github.com/kserve/open-inference-protocol, as JSON: tensors
in binary form are refused. The one input is `text`. The outputs have the names of the cells of an
answer to /invocations:

    a text                    BYTES [rows]
    a number                  FP64 [rows]
    the score of each label   FP64 [rows, labels]; `parameters.names` has the labels
    the labels that apply     BOOL [rows, labels], in the same order
"""

import json
import math
import os
import re
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from serve_http import Send, refuse
from serve_requests import JSON, TEXT, Refused, check_lines, check_rows, read_json

EXAMPLE = '{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a text"]}]}'
_INPUT = {"name": TEXT, "datatype": "BYTES", "shape": [-1]}
_PATH = re.compile(
    r"/v2(?:/health/(?P<health>live|ready)"
    r"|/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?P<of_model>ready|infer))?)?/?"
)
_BINARY = "binary_data_size"  # of the extension for tensors after the JSON


async def refused_v2(send: Send, refused: Refused) -> None:
    await refuse(send, refused, {"error": str(refused)})


class Output(NamedTuple):
    """A tensor of an answer; `names` has a label for each number of a row, where there are many."""

    name: str
    datatype: str
    names: list[str] | None = None

    def described(self) -> dict[str, Any]:
        """As the model's metadata name it."""
        return self._with_names([-1])

    def tensor(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Of the cells of all rows, to the last digit."""
        data: list[Any] = [row[self.name] for row in rows]
        if self.names is not None:
            if self.datatype == "BOOL":
                data = [name in cell for cell in data for name in self.names]
            else:
                data = [cell[name] for cell in data for name in self.names]
        return self._with_names([len(rows)]) | {"data": data}

    def _with_names(self, shape: list[int]) -> dict[str, Any]:
        found = {"name": self.name, "datatype": self.datatype, "shape": shape}
        if self.names is None:
            return found
        return found | {"shape": [*shape, len(self.names)], "parameters": {"names": self.names}}


class Inference(NamedTuple):
    """A request: texts, and which outputs it wants."""

    texts: list[str]
    outputs: Sequence[Output]
    id: str | None


class ServedModel:
    """The name under which the model answers, and its tensors, from an answer of it."""

    def __init__(self, name: str, version: str | None = None) -> None:
        self.name, self.version = name, version
        self.outputs: list[Output] = []

    @classmethod
    def of_environment(cls) -> "ServedModel":
        """MODEL_NAME, or the name in MODEL_URI: of the registered model, or of the folder."""
        uri = os.environ.get("MODEL_URI", "")
        registered = re.fullmatch(r"models:/+([^/@]+)(?:/(\d+)\Z)?.*", uri)
        name = registered[1] if registered else PurePath(uri).name
        version = registered[2] if registered else None
        return cls(os.environ.get("MODEL_NAME") or name or "model", version)

    def learn(self, content: Mapping[str, Any]) -> None:
        """Take the outputs from an answer to /invocations with one row."""
        try:
            (row,) = content["predictions"]
            self.outputs = [_output(name, cell, row) for name, cell in row.items()]
        except (AttributeError, KeyError, TypeError, ValueError):  # of a model that is not ours
            self.outputs = []

    def check_outputs(self) -> None:
        """Raises Refused where the model's answers are not known to be tensors."""
        if not self.outputs:
            raise Refused("this model's answers are no tensors; ask /invocations", status=501)

    def asked_for(self, method: str, path: str) -> str:
        """ "server", "live", "ready", "model", "model ready" or "infer".

        Raises Refused for another path or method, another model or version of it.
        """
        found = _PATH.fullmatch(path)
        if not found:
            raise Refused(f"there is nothing at {reprlib.repr(path)}", status=404)
        route = found["health"] or "server"
        if found["name"]:
            self._check(found["name"], found["version"])
            route = {None: "model", "ready": "model ready"}.get(found["of_model"], "infer")
        needed = "POST" if route == "infer" else "GET"
        if method != needed:
            raise Refused(f"the method is {reprlib.repr(method)}, not {needed}", status=405)
        return route

    def _check(self, name: str, version: str | None) -> None:
        if name != self.name:
            problem = f"there is no model {reprlib.repr(name)}; the model here is '{self.name}'"
        elif version not in (None, self.version):
            known = f"version {self.version}" if self.version else "no numbered version"
            problem = f"there is no version {reprlib.repr(version)}; '{self.name}' has {known} here"
        else:
            return
        raise Refused(problem, status=404)

    def metadata(self) -> dict[str, Any]:
        return {
            "name": self.name,
            **({"versions": [self.version]} if self.version else {}),
            "platform": "onnxruntime_onnx",
            "inputs": [_INPUT],
            "outputs": [output.described() for output in self.outputs],
        }

    def read(self, body: bytes, content_type: str) -> Inference:
        """Raises Refused, naming the row if one is wrong."""
        _check_kind(content_type)
        content, text = read_json(body, EXAMPLE)
        if not isinstance(content, dict):
            raise Refused(f"the body is not a JSON object; send for example {EXAMPLE}")
        id_ = content.get("id")
        if not isinstance(id_, str | None):
            raise Refused(f"`id` is {reprlib.repr(id_)}, not text")
        texts = _texts(content)
        check_lines(text)
        return Inference(texts, self._wanted(content.get("outputs")), id_)

    def answer(self, request: Inference, rows: Sequence[Mapping[str, Any]]) -> bytes:
        content = {
            "model_name": self.name,
            **({"model_version": self.version} if self.version else {}),
            **({"id": request.id} if request.id is not None else {}),
            "outputs": [output.tensor(rows) for output in request.outputs],
        }
        return json.dumps(content).encode()

    def _wanted(self, asked: Any) -> Sequence[Output]:
        """All, or those that are named, in that order. An answer may be JSON whatever else is
        asked of an output."""
        if not asked and isinstance(asked, list | None):
            return self.outputs
        if not isinstance(asked, list) or not all(isinstance(one, dict) for one in asked):
            raise Refused("`outputs` is not a list of objects with a `name` each")
        known = {output.name: output for output in self.outputs}
        wanted = []
        for one in asked:
            name = one.get("name")
            if not isinstance(name, str) or name not in known:
                problem = f"there is no output {reprlib.repr(name)}, or it is there twice"
                raise Refused(f"{problem}; there are {', '.join(one.name for one in self.outputs)}")
            wanted.append(known.pop(name))  # twice: a long answer to a short request
        return wanted


def _output(name: str, cell: Any, row: Mapping[str, Any]) -> Output:
    if isinstance(cell, str):
        return Output(name, "BYTES")
    if isinstance(cell, dict):
        return Output(name, "FP64", list(cell))
    if isinstance(cell, list):  # the scores beside it name all that could apply
        return Output(name, "BOOL", list(row[name.removesuffix("labels") + "scores"]))
    return Output(name, "FP64")


def _check_kind(content_type: str) -> None:
    """None at all is taken for JSON: some clients of this protocol send none."""
    kind, _, parameters = content_type.lower().partition(";")
    charset = parameters.replace(" ", "").replace('"', "")
    if kind.strip() not in ("", JSON) or charset not in ("", "charset=utf-8"):
        raise Refused(f"the content type is {reprlib.repr(content_type)}, not {JSON}", status=415)


def _texts(content: Mapping[str, Any]) -> list[str]:
    """Of the one input, whose data are a list of texts, or with the shape [rows, 1] of lists."""
    given = content.get("inputs")
    if not isinstance(given, list) or len(given) != 1 or not isinstance(given[0], dict):
        raise Refused(f"`inputs` is not a list with the one tensor '{TEXT}'; send {EXAMPLE}")
    tensor = given[0]
    name, datatype, shape, data = (tensor.get(key) for key in ("name", "datatype", "shape", "data"))
    if name != TEXT:
        raise Refused(f"there is no input {reprlib.repr(name)}; the one input is '{TEXT}'")
    if datatype != "BYTES":
        raise Refused(f"the datatype of '{TEXT}' is {reprlib.repr(datatype)}, not 'BYTES'")
    _check_parameters(tensor.get("parameters"))
    if not isinstance(data, list):
        raise Refused(f"the tensor '{TEXT}' has no list `data`; send for example {EXAMPLE}")
    if not _is_shape(shape):
        raise Refused(f"the shape of '{TEXT}' is {reprlib.repr(shape)}, not [rows] or [rows, 1]")
    if len(shape) == 2 and all(isinstance(one, list) and len(one) == 1 for one in data):
        data = [text for (text,) in data]
    if len(data) != math.prod(shape):
        raise Refused(f"the shape of '{TEXT}' is {shape}, but its data has {len(data)} values")
    check_rows(data)
    return data


def _check_parameters(parameters: Any) -> None:
    if not isinstance(parameters, dict | None):
        raise Refused(f"`parameters` is {reprlib.repr(parameters)}, not an object")
    found = parameters or {}
    if _BINARY in found:
        raise Refused("tensors in binary form are not read; send the texts in `data`")
    if found.get("content_type", "str") != "str":
        raise Refused(f"the content type of '{TEXT}' is not 'str'; send the texts as they are")


def _is_shape(shape: Any) -> bool:
    if not isinstance(shape, list) or any(type(size) is not int or size < 0 for size in shape):
        return False
    return len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)
