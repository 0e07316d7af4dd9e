"""Weights of an artifact fill the network that they belong to, or are refused with their file."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from decant.models.weights import fill
from tests.errors import raises

Tensors = dict[str, Tensor]


def sound() -> Tensors:
    return {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


def test_the_network_has_the_weights(tmp_path: Path) -> None:
    save_file(sound(), tmp_path / "model.safetensors")
    network = nn.Linear(3, 2)
    fill(network, tmp_path / "model.safetensors")
    assert torch.equal(network.weight, sound()["weight"])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda all_: all_ | {"bias": torch.tensor([1.0, float("nan")])}, "bias"),
        (lambda all_: all_ | {"weight": all_["weight"] / 0}, "weight"),
        (lambda all_: all_ | {"weight": all_["weight"].to(torch.int64)}, "torch.int64"),
        (lambda all_: all_ | {"weight": all_["weight"].reshape(3, 2)}, "weight"),
        (lambda all_: all_ | {"more": torch.ones(1)}, "more"),
        (lambda all_: {"weight": all_["weight"]}, "bias"),
    ],
)
def test_others_are_refused(
    change: Callable[[Tensors], Tensors], named: str, tmp_path: Path
) -> None:
    file = tmp_path / "model.safetensors"
    save_file(change(sound()), file)
    with raises("artifact-damaged", str(file), named):
        fill(nn.Linear(3, 2), file)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, None])
def test_a_file_that_is_none_is_named(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    if content is not None:
        file.write_bytes(content)
    with raises("artifact-damaged", str(file)):
        fill(nn.Linear(3, 2), file)
