"""The Open Inference Protocol v2 of docker/serve.py: over sockets, and of every kind of target."""

import asyncio
import http.client
import json
import runpy
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pytest
from mlflow.pyfunc.scoring_server import init

from components.register.registry import save_model
from tests.docker.test_serve import JSON, SERVE, TEXTS, post, serving, table_of
from tests.word_models import TASKS, write_word_model

PROGRAM = runpy.run_path(str(SERVE))
NAME = "films"
READ_SECONDS = 1.0


def tensor_of(texts: Sequence[Any], **more: Any) -> dict[str, Any]:
    return {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts} | more


def infer_of(texts: Sequence[Any], **more: Any) -> dict[str, Any]:
    return {"inputs": [tensor_of(texts)]} | more


def ask(
    port: str, path: str, body: Any = None, *, kind: str | None = JSON, method: str = ""
) -> tuple[int, Any]:
    """Status and content of the answer on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
    try:
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        headers = {"content-type": kind} if kind and content is not None else {}
        connection.request(method or ("GET" if body is None else "POST"), path, content, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def model_folder(folder: Path, kind: str) -> Path:
    targets, weights = TASKS[kind]
    save_model(write_word_model(folder / "exported", weights, targets), folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server with all kinds of targets, that gives up soon and holds little."""
    folder = tmp_path_factory.mktemp("v2")
    settings = {
        "MODEL_NAME": NAME,
        "READ_SECONDS": str(READ_SECONDS),
        "MAX_BODIES_BYTES": str(18 << 20),
    }
    with serving(model_folder(folder, "several"), folder / "serve.log", **settings) as (port, _):
        yield port


@pytest.mark.slow
def test_health_and_metadata(port: str) -> None:
    assert ask(port, "/v2/health/live") == (200, {"live": True})
    assert ask(port, "/v2/health/ready") == (200, {"ready": True})
    assert ask(port, f"/v2/models/{NAME}/ready") == (200, {"name": NAME, "ready": True})
    status, server = ask(port, "/v2")
    assert (status, server["name"], server["extensions"]) == (200, "decant", [])
    status, model = ask(port, f"/v2/models/{NAME}")
    assert (status, model["name"]) == (200, NAME)
    assert model["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    names = {"parameters": {"names": ["joy", "grief"]}}
    assert model["outputs"] == [
        {"name": "tone_label", "datatype": "BYTES", "shape": [-1]},
        {"name": "tone_score", "datatype": "FP64", "shape": [-1]},
        {"name": "emotions_labels", "datatype": "BOOL", "shape": [-1, 2]} | names,
        {"name": "emotions_scores", "datatype": "FP64", "shape": [-1, 2]} | names,
        {"name": "stars_value", "datatype": "FP64", "shape": [-1]},
    ]


def rows_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells as /invocations has them, out of the tensors."""
    columns: dict[str, list[Any]] = {}
    for one in answer["outputs"]:
        rows, data = one["shape"][0], one["data"]
        assert len(data) == rows * (one["shape"][1:] or [1])[0]
        if "parameters" not in one:
            columns[one["name"]] = data
            continue
        names = one["parameters"]["names"]
        cut = [dict(zip(names, data[i * len(names) :], strict=False)) for i in range(rows)]
        columns[one["name"]] = cut
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def as_tensors(prediction: dict[str, Any]) -> dict[str, Any]:
    """An answer to /invocations; of the labels that apply, which do."""
    return {
        name: {one: one in cell for one in prediction[name.removesuffix("labels") + "scores"]}
        if isinstance(cell, list)
        else cell
        for name, cell in prediction.items()
    }


@pytest.mark.slow
def test_an_answer_is_that_to_invocations_in_tensors(port: str) -> None:
    status, answer = ask(port, f"/v2/models/{NAME}/infer", infer_of(TEXTS, id="a-7"))
    assert status == 200
    assert (answer["model_name"], answer["id"]) == (NAME, "a-7")
    expected = post(port, table_of(*TEXTS))["predictions"]
    assert rows_of(answer) == [as_tensors(one) for one in expected]
    described = ask(port, f"/v2/models/{NAME}")[1]["outputs"]
    assert [one["name"] for one in answer["outputs"]] == [one["name"] for one in described]
    assert [one["datatype"] for one in answer["outputs"]] == [one["datatype"] for one in described]
    column = {"inputs": [tensor_of([[text] for text in TEXTS], shape=[len(TEXTS), 1])]}
    status, same = ask(port, f"/v2/models/{NAME}/infer", column, kind=None)
    assert (status, same["outputs"]) == (200, answer["outputs"])
    assert "id" not in same


@pytest.mark.slow
def test_outputs_can_be_chosen_and_a_request_can_have_no_rows(port: str) -> None:
    wanted = [{"name": "stars_value", "parameters": {"binary_data": False}}, {"name": "tone_label"}]
    path = f"/v2/models/{NAME}/infer"
    status, answer = ask(port, path, infer_of(["a good film"], outputs=wanted))
    assert status == 200
    assert [one["name"] for one in answer["outputs"]] == ["stars_value", "tone_label"]
    assert answer["outputs"][1]["data"] == ["positive"]
    status, answer = ask(port, path, infer_of([]))
    assert status == 200
    assert [one["shape"][0] for one in answer["outputs"]] == [0] * 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        (b"", 400, "the body is empty"),
        (b"{", 400, "the body is not JSON"),
        (b"[]", 400, "not a JSON object"),
        (b'{"inputs": [], "inputs": []}', 400, "the key 'inputs' twice"),
        (b'{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["\xff"]}]}',
         400, "row 0 of the input is not UTF-8"),
        ({}, 400, "`inputs` is not a list with the one tensor 'text'"),
        ({"inputs": [tensor_of(["a"]), tensor_of(["b"])]}, 400, "the one tensor 'text'"),
        ({"inputs": [tensor_of(["a"], name="words")]}, 400, "there is no input 'words'"),
        ({"inputs": [tensor_of(["a"], datatype="FP32")]}, 400, "'FP32', not 'BYTES'"),
        ({"inputs": [tensor_of(["a"], shape=[2])]}, 400, "is [2], but its data has 1 values"),
        ({"inputs": [tensor_of(["a"], shape=[True])]}, 400, "not [rows] or [rows, 1]"),
        ({"inputs": [tensor_of(["a", "b"], shape=[1, 2])]}, 400, "not [rows] or [rows, 1]"),
        ({"inputs": [tensor_of("a")]}, 400, "no list `data`"),
        ({"inputs": [tensor_of(["a"], parameters={"binary_data_size": 5})]}, 400, "binary form"),
        ({"inputs": [tensor_of(["YQ=="], parameters={"content_type": "base64"})]}, 400, "'str'"),
        (infer_of(["a", 5]), 400, "row 1 of the input is 5, not text"),
        (infer_of(["a", None]), 400, "row 1 of the input is missing, not text"),
        (infer_of(["a", "\ud800"]), 400, "row 1 of the input is not Unicode"),
        (infer_of(["a", "x" * 100_001]), 400, "row 1 of the input is too long"),
        (infer_of(["a"], id=7), 400, "`id` is 7, not text"),
        (infer_of(["a"], outputs=[{"name": "label"}]), 400, "no output 'label', or it is there"),
        (infer_of(["a"], outputs=[{"name": "tone_label"}] * 2), 400, "twice; there are tone_label"),
        (infer_of(["a"], outputs="all"), 400, "`outputs` is not a list"),
        (b" " * (17 << 20), 413, "the body is larger than"),
    ],
)  # fmt: skip
def test_a_refusal_says_why(port: str, body: Any, status: int, problem: str) -> None:
    found, content = ask(port, f"/v2/models/{NAME}/infer", body)
    assert found == status
    assert set(content) == {"error"}
    assert problem in content["error"]


@pytest.mark.slow
def test_paths_methods_and_content_types_are_refused_alike(port: str) -> None:
    one = infer_of(["a"])
    for path, body, method, kind, status, problem in (
        ("/v2/models/songs/infer", one, "", JSON, 404, f"the model here is '{NAME}'"),
        ("/v2/models/songs", None, "", JSON, 404, f"the model here is '{NAME}'"),
        (f"/v2/models/{NAME}/versions/3", None, "", JSON, 404, "no version '3'"),
        ("/v2/repository", None, "", JSON, 404, "there is nothing at '/v2/repository'"),
        (f"/v2/models/{NAME}/infer", None, "GET", JSON, 405, "'GET', not POST"),
        ("/v2/health/live", one, "POST", JSON, 405, "'POST', not GET"),
        (f"/v2/models/{NAME}/infer", one, "", "text/csv", 415, "'text/csv', not application/json"),
        (f"/v2/models/{NAME}/infer", one, "", f"{JSON}; charset=latin-1", 415, "not application"),
    ):
        found, content = ask(port, path, body, method=method, kind=kind)
        assert (found, set(content)) == (status, {"error"})
        assert problem in content["error"]


@pytest.mark.slow
def test_a_slow_body_is_told_so_and_closed(port: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
    connection.putrequest("POST", f"/v2/models/{NAME}/infer")
    connection.putheader("content-length", "100")
    connection.endheaders(b"{")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("connection")) == (408, "close")
    assert json.loads(answer.read()) == {"error": "the body did not arrive within 1 s"}
    connection.close()


@pytest.mark.slow
def test_two_clients_get_their_own_answers(port: str) -> None:
    def asked(word: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
        for number in range(100):
            texts = [f"a {word} film"] * (1 + number % 3)
            body = json.dumps(infer_of(texts, id=f"{word}-{number}"))
            connection.request("POST", f"/v2/models/{NAME}/infer", body, {"content-type": JSON})
            answer = json.loads(connection.getresponse().read())
            assert answer["id"] == f"{word}-{number}"
            label = {"good": "positive", "bad": "negative"}[word]
            assert answer["outputs"][0]["data"] == [label] * len(texts)
        connection.close()

    with ThreadPoolExecutor(2) as clients:
        for done in [clients.submit(asked, word) for word in ("good", "bad")]:
            done.result()


@pytest.mark.parametrize("way", ["from the model", "through MLflow"])
@pytest.mark.parametrize("kind", sorted(TASKS))
def test_every_kind_has_its_tensors(kind: str, way: str, tmp_path: Path) -> None:
    """A version of before, and models of other flavours, are asked through MLflow."""
    model = mlflow.pyfunc.load_model(str(model_folder(tmp_path, kind)))
    rows = PROGRAM["_rows_of"](model) if way == "from the model" else None
    app = PROGRAM["Requests"](init(model), PROGRAM["Limits"](), rows)

    async def answered(path: str, body: Any) -> Any:
        unread = [{"type": "http.request", "body": json.dumps(body).encode()}]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return unread.pop()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        headers = (b"content-type", JSON.encode())
        await app({**PROGRAM["scoring_scope"](headers), "path": path}, receive, send)
        return json.loads(sent[1]["body"])

    async def both() -> tuple[Any, Any, Any]:
        early = await answered("/v2/models/model/infer", infer_of(TEXTS))
        await app.try_out()
        found = await answered("/v2/models/model/infer", infer_of(TEXTS))
        return early, found, await answered("/invocations", table_of(*TEXTS))

    early, found, expected = asyncio.run(both())
    assert early == {"error": "the model has not answered yet"}
    assert rows_of(found) == [as_tensors(one) for one in expected["predictions"]]
    assert app.figures.rows == 2 * len(TEXTS)


@pytest.mark.parametrize("answer", [[0.5], {"a": 1}, [{"tags": ["a"]}], [], None])
def test_another_model_has_no_tensors_and_says_so(answer: Any) -> None:
    model = PROGRAM["ServedModel"]("other")
    model.learn({"predictions": answer})
    with pytest.raises(Exception, match="no tensors; ask /invocations") as refused:
        model.check_outputs()
    assert refused.value.status == 501  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("uri", "given", "name", "version"),
    [
        ("models:/films/3", "", "films", "3"),
        ("models:/films@champion", "", "films", None),
        ("models:/films/3", "songs", "songs", "3"),
        ("/model", "", "model", None),
        ("", "", "model", None),
    ],
)
def test_the_name_is_that_of_the_model(
    uri: str, given: str, name: str, version: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_URI", uri)
    monkeypatch.setenv("MODEL_NAME", given)
    model = PROGRAM["ServedModel"].of_environment()
    assert (model.name, model.version) == (name, version)
    route = f"/v2/models/{name}/versions/{version}/ready" if version else f"/v2/models/{name}/ready"
    assert model.asked_for("GET", route) == "model ready"
