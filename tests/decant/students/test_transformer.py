"""The Transformer as a copy of BERT: exact where it can be, by hand where it is not."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from decant.runtime.settings import parse
from decant.students.transformer import (
    Config,
    Transformer,
    build,
    chosen,
    transfer,
)
from tests.errors import raises

POSITIONS = 16
TYPES = (
    "bert",
    "camembert",
    "data2vec-text",
    "distilbert",
    "electra",
    "ernie",
    "roberta",
    "xlm-roberta",
)


def transformer(width: int, **changes: Any) -> Transformer:
    """As the encoder: 2 layers, 4 heads of 8 units, 64 intermediate ones."""
    options = {
        "layers": 2,
        "heads": 4,
        "head_size": 8,
        "intermediate": 64,
        "copied_layers": "even",
        "dropout": 0.1,
        "pooling": "mean",
    }
    torch.manual_seed(0)
    config = parse(Config, options | changes, "transformer")
    return build(config, width=width, max_length_tokens=POSITIONS).eval()


def random_encoder(kind: str) -> nn.Module:
    """An encoder of that type, 2 layers, 32 wide; biases and norms are random too."""
    from transformers import AutoConfig, AutoModel

    distilled = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
    usual = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
    }
    extra = {"electra": {"embedding_size": 32}, "ernie": {"use_task_id": True}}.get(kind, {})
    config = AutoConfig.for_model(
        kind,
        vocab_size=50,
        max_position_embeddings=40,
        pad_token_id=1,
        **(distilled if kind == "distilbert" else usual),
        **extra,
    )
    torch.manual_seed(0)
    encoder: nn.Module = AutoModel.from_config(config).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return encoder


def mean_states(encoder: nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
    with torch.no_grad():
        states = encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    return (states * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]


def embedded(encoder: nn.Module, ids: Tensor) -> Tensor:
    states: Tensor = encoder.get_input_embeddings()(ids)  # type: ignore[operator]
    return states.detach()


def example(lengths: tuple[int, ...] = (9, 5, 1)) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    ids = torch.randint(2, 50, (len(lengths), max(lengths)))
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return ids.where(mask, 1), mask


@pytest.mark.parametrize("kind", TYPES)
def test_a_student_of_berts_size_gives_berts_own_states(kind: str, bert_of: Any) -> None:
    encoder = random_encoder(kind)
    body = transformer(32)
    with torch.no_grad():
        names = transfer(body, bert_of(encoder, torch.eye(32)))
    ids, mask = example()
    expected = mean_states(encoder, ids, mask)
    torch.testing.assert_close(body(embedded(encoder, ids), mask), expected, atol=1e-5, rtol=1e-4)
    assert names == dict.fromkeys((name for name, _ in body.named_parameters()), True)


def test_more_heads_and_units_change_nothing_but_can_learn(
    encoder: nn.Module, bert_of: Any
) -> None:
    body = transformer(32, heads=6, intermediate=70)
    with torch.no_grad():
        names = transfer(body, bert_of(encoder, torch.eye(32)))
    assert {name for name, whole in names.items() if not whole} == {
        f"encoder.layers.{layer}.{dense}.{part}"
        for layer in (0, 1)
        for dense in ("attention_in", "intermediate")
        for part in ("weight", "bias")
    }
    ids, mask = example()
    expected = mean_states(encoder, ids, mask)
    features = body(embedded(encoder, ids), mask)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-4)
    features.square().sum().backward()
    layer = body.encoder.layers[0]
    assert layer.attention_out.weight.grad[:, 32:].all()  # type: ignore[union-attr,index]
    assert layer.output.weight.grad[:, 64:].all()  # type: ignore[union-attr,index]


@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_the_scale_and_the_mean_of_the_embeddings_do_not_matter(
    offset: float, encoder: nn.Module, bert_of: Any
) -> None:
    body = transformer(32)
    into, mean = 0.4 * torch.eye(32), torch.full((32,), offset)
    with torch.no_grad():
        transfer(body, bert_of(encoder, into, offset=mean))
    ids, mask = example()
    features = body((embedded(encoder, ids) - mean) @ into, mask)
    expected = (mean_states(encoder, ids, mask) - mean) @ into
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-4)


def test_a_narrower_student_by_truncation(encoder: nn.Module, bert_of: Any) -> None:
    """24 wide, 3 heads and 50 units of layer 1: the first columns, rows and heads of each."""
    body = transformer(24, layers=1, heads=3, intermediate=50, copied_layers=[1])
    with torch.no_grad():
        transfer(body, bert_of(encoder, 2 * torch.eye(32, 24)))
    bert = dict(encoder.named_parameters())
    student = dict(body.encoder.named_parameters())

    def assert_close(name: str, expected: Tensor) -> None:
        torch.testing.assert_close(student[name], expected, check_stride=False)

    addend = bert["embeddings.token_type_embeddings.weight"][0]
    positions = bert["embeddings.position_embeddings.weight"][:POSITIONS] + addend
    assert_close("positions.weight", 2 * positions[:, :24])
    assert_close("norm.weight", 2 * bert["embeddings.LayerNorm.weight"][:24])
    assert_close("norm.bias", 2 * bert["embeddings.LayerNorm.bias"][:24])
    one = "encoder.layer.1."
    for index, role in enumerate(("query", "key", "value")):
        rows = slice(24 * index, 24 * (index + 1))
        weight = bert[f"{one}attention.self.{role}.weight"]
        got = student["layers.0.attention_in.weight"][rows]
        torch.testing.assert_close(got, weight[:24, :24] / 2)
        got = student["layers.0.attention_in.bias"][rows]
        torch.testing.assert_close(got, bert[f"{one}attention.self.{role}.bias"][:24])
    assert_close(
        "layers.0.attention_out.weight", 2 * bert[f"{one}attention.output.dense.weight"][:24, :24]
    )
    assert_close("layers.0.attention_out.bias", 2 * bert[f"{one}attention.output.dense.bias"][:24])
    norm = f"{one}attention.output.LayerNorm."
    assert_close("layers.0.attention_norm.weight", 2 * bert[f"{norm}weight"][:24])
    assert_close("layers.0.attention_norm.bias", 2 * bert[f"{norm}bias"][:24])
    assert_close(
        "layers.0.intermediate.weight", bert[f"{one}intermediate.dense.weight"][:50, :24] / 2
    )
    assert_close("layers.0.intermediate.bias", bert[f"{one}intermediate.dense.bias"][:50])
    assert_close("layers.0.output.weight", 2 * bert[f"{one}output.dense.weight"][:24, :50])
    assert_close("layers.0.output.bias", 2 * bert[f"{one}output.dense.bias"][:24])
    assert_close("layers.0.output_norm.weight", 2 * bert[f"{one}output.LayerNorm.weight"][:24])
    assert_close("layers.0.output_norm.bias", 2 * bert[f"{one}output.LayerNorm.bias"][:24])


def test_a_projected_student_by_hand(by_hand: Any, bert_of: Any) -> None:
    """One direction: s = 10 (.6, .8) · (x - (1, 2)), so x ≈ .1 s (.6, .8) + (1, 2)."""
    with torch.no_grad():
        layer = by_hand.encoder.layer[0]
        layer.output.dense.weight[:] = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
        layer.output.dense.bias[:] = torch.tensor([1.0, -1])
        layer.output.LayerNorm.weight[:] = torch.tensor([2.0, 3])
        layer.output.LayerNorm.bias[:] = torch.tensor([2.0, 4])
        body = transformer(1, layers=1, heads=1, head_size=2, intermediate=2)
        into, offset = torch.tensor([[6.0], [8]]), torch.tensor([1.0, 2])
        transfer(body, bert_of(by_hand, into, offset=offset))
    copy = body.encoder.layers[0]
    # reads: M (.06, .08) + ... of the rows (1 2 | 3 4), and (1, 2) through them on the biases
    torch.testing.assert_close(copy.intermediate.weight, torch.tensor([[0.22], [0.5]]))
    torch.testing.assert_close(copy.intermediate.bias, torch.tensor([5.1, 11.2]))
    # the value's rows (1 0 | 0 -1), biases 7 and 8
    torch.testing.assert_close(copy.attention_in.weight[4:], torch.tensor([[0.06], [-0.08]]))
    torch.testing.assert_close(copy.attention_in.bias[4:], torch.tensor([8.0, 6.0]))
    # writes: 6 of the first row and 8 of the second, for the two units that are left
    torch.testing.assert_close(copy.output.weight, torch.tensor([[38.0, 52]]))
    torch.testing.assert_close(copy.output.bias, torch.tensor([-2.0]))
    # norm: r = 10, gain 10 (.36 * 2 + .64 * 3), bias 6 (2 - 1) + 8 (4 - 2)
    torch.testing.assert_close(copy.output_norm.weight, torch.tensor([26.4]))
    torch.testing.assert_close(copy.output_norm.bias, torch.tensor([22.0]))


def test_a_wider_student_is_exact_where_states_have_no_mean(by_hand: Any, bert_of: Any) -> None:
    """LayerNorm makes (3, -3) to (1, -1); beside two zeros the variance halves, the gain mends."""
    body = transformer(4, layers=1, heads=1, head_size=2, intermediate=3)
    with torch.no_grad():
        norm = by_hand.encoder.layer[0].output.LayerNorm
        norm.weight[:] = torch.tensor([2.0, 5])
        norm.bias[:] = torch.tensor([0.5, 0.25])
        transfer(body, bert_of(by_hand, torch.eye(2, 4)))
        normed = body.encoder.layers[0].output_norm(torch.tensor([3.0, -3, 0, 0]))
    torch.testing.assert_close(normed, torch.tensor([2.5, -4.75, 0, 0]))


def test_an_encoders_larger_eps_is_the_one_difference_of_a_copied_norm(
    by_hand: Any, bert_of: Any
) -> None:
    """The variance of (.1, -.1) is .01: eps 1e-5 makes the normed state .05 % smaller."""
    norm = by_hand.encoder.layer[0].output.LayerNorm
    norm.eps = 1e-5
    body = transformer(2, layers=1, heads=1, head_size=2, intermediate=3)
    with torch.no_grad():
        transfer(body, bert_of(by_hand, torch.eye(2)))
        state = torch.tensor([0.1, -0.1])
        copied = body.encoder.layers[0].output_norm(state)
        share = (copied - norm(state)) / copied
    torch.testing.assert_close(copied, torch.tensor([1.0, -1]))
    torch.testing.assert_close(share, torch.full((2,), 5e-4), atol=1e-6, rtol=0)


def test_which_layers_are_taken() -> None:
    assert chosen("even", 6, 12) == (0, 2, 4, 7, 9, 11)
    assert chosen("even", 2, 6) == (0, 5)
    assert chosen("even", 3, 6) == (0, 2, 5)
    assert chosen("even", 1, 6) == (0,)
    assert chosen("even", 6, 6) == tuple(range(6))
    assert chosen("first", 2, 6) == (0, 1)
    assert chosen((3, 3), 2, 6) == (3, 3)
    for wanted, layers, needed in (("even", 7, 7), ("first", 7, 7), ((0, 6), 2, 7)):
        with raises("parameter-value", f"{needed} layers", "6"):
            chosen(wanted, layers, 6)  # type: ignore[arg-type]


def test_none_leaves_the_weights_random(encoder: nn.Module, bert_of: Any) -> None:
    body = transformer(32, copied_layers="none")
    before = [parameter.detach().clone() for parameter in body.parameters()]
    assert transfer(body, bert_of(encoder, torch.eye(32))) == {}
    assert all(torch.equal(*pair) for pair in zip(before, body.parameters(), strict=True))


def test_what_does_not_fit_is_an_error_of_the_user(encoder: nn.Module, bert_of: Any) -> None:
    bert = bert_of(encoder, torch.eye(32))
    with raises("transfer-mismatch", "head_size to 8", "4"):
        transfer(transformer(32, head_size=4).requires_grad_(False), bert)
    with raises("parameter-conflict", "value", "layer_matrix"):
        transfer(transformer(32), bert_of(encoder, torch.eye(32), matrix="value"))
    with raises("parameter-value", "copied_layers", "2 layers"):
        transformer(32, copied_layers=[0, 1, 1])
    with raises("parameter-value", "copied_layers", "every"):
        transformer(32, copied_layers="every")
