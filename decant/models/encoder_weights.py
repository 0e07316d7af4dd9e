"""The weights of an encoder: which files, whether they fill the model, and loading them."""

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from decant.models._json_object import json_object
from decant.runtime.errors import UserError
from decant.runtime.system_errors import as_user_error

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CONFIG = "config.json"
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
# Up to the number of a layer, as BERT, DistilBERT, ModernBERT and ALBERT name them.
_LAYER = re.compile(r".*\b(?:layers?|albert_layer_groups)\.\d+(?=\.)")
_NAMED_LAYERS = 5
_WEIGHT_NAMES = (".weight", ".bias", ".gamma", ".beta")
# The first pattern that fits a file says what it is.
_OTHER_WEIGHTS = {
    "training_args.bin": "which holds settings of a training, not weights",
    "*.bin": "which is pickle and can run code",
    "*.pt": "which is pickle and can run code",
    "*.h5": "which is TensorFlow's",
    "*.msgpack": "which is Flax's",
    "*.onnx": "which is an exported graph",
    "adapter_model.*": "which is an adapter without its base",
}


def weight_files(folder: Path) -> list[str]:
    """The safetensors files of the model and their index where it is sharded.

    Raises UserError when there are none, or shards are missing.
    """
    if (folder / _WEIGHTS).is_file():
        return [_WEIGHTS]
    if (folder / _INDEX).is_file():
        weight_map = json_object(folder / _INDEX).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise UserError(
                f"{folder / _INDEX} has no weight_map, which names the shards",
                code="encoder-weights-invalid",
            )
        shards = sorted({str(name) for name in weight_map.values()})
        outside = {name for name in shards if Path(name).name != name}
        lacking = [name for name in shards if name in outside or not (folder / name).exists()]
        if lacking:
            raise UserError(
                f"{folder} lacks shards of its weights: {', '.join(lacking)}",
                code="encoder-weights-missing",
            )
        return [_INDEX, *shards]
    raise UserError(
        f"{folder} has no {_WEIGHTS}; weights found: {_other_weights(folder)}",
        code="encoder-weights-missing",
        hint="save the model with save_pretrained(folder), which writes safetensors, or name a "
        "revision that has them",
    )


def tensor_names(folder: Path) -> list[str]:
    """The names of all tensors, from the headers, which also give the lengths of the files.

    Raises UserError as `weight_files`, and when a file is damaged.
    """
    names: list[str] = []
    for file in (folder / name for name in weight_files(folder) if name != _INDEX):
        try:
            with safe_open(file, framework="numpy") as tensors:
                names += tensors.keys()
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"{file} is not a readable safetensors file: {error}",
                code="encoder-weights-invalid",
                hint="fetch or save the encoder again",
            ) from None
    return names


def check_filled(folder: Path) -> tuple[int, list[str]]:
    """The rows of the input embeddings, once it is sure that the weights fill the model.

    With it, in sentences, the layers that the weights have and the model lacks.

    The model is built without memory for its weights, by the library's own loading, which also
    knows the older names of tensors. Of the weights one tensor at a time is in memory.

    Raises UserError when tensors are missing, have another prefix, another shape or another type,
    or hold numbers that are not finite.
    """
    from transformers import AutoConfig, AutoModel

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # every type of model checks its own settings
        raise UserError(
            f"{folder / CONFIG} does not describe a model: {error}", code="file-invalid"
        ) from None
    model, loading = _load(
        AutoModel,
        folder,
        config=config,
        device_map="meta",
        ignore_mismatched_sizes=True,
        **without_pooler(config),
    )
    refuse_missing(loading["missing_keys"], folder)
    embeddings: Any = model.get_input_embeddings()
    table = next(name for name, one in model.named_modules() if one is embeddings) + ".weight"
    _refuse_mismatched(loading["mismatched_keys"], table, folder)
    _refuse_no_numbers(folder)
    return int(embeddings.weight.shape[0]), _left_out(loading["unexpected_keys"])


def load_pretrained(
    model_class: Any, folder: Path, **options: Any
) -> tuple["PreTrainedModel", list[str]]:
    """A local model in float32 on the CPU, and the weights that the folder lacks, sorted.

    Args:
        model_class: one of transformers' Auto classes.

    Raises UserError when the weights are damaged or do not fit the model.
    """
    model, loading = _load(model_class, folder, **options)
    return model, sorted(loading["missing_keys"])


def refuse_missing(missing: Iterable[str], folder: Path) -> None:
    """Raises UserError when tensors are missing, other than of a pooler, which is not used."""
    missing = sorted(key for key in missing if "pooler" not in key)
    if not missing:
        return
    model_type = json_object(folder / CONFIG).get("model_type")
    if prefix := _wrong_prefix(missing, tensor_names(folder)):
        raise UserError(
            f"the names of the weights in {folder} begin with '{prefix}', which its {CONFIG}, of "
            f"type '{model_type}', does not expect: {len(missing)} tensors are missing, such as "
            f"{missing[0]}",
            code="encoder-weights-invalid",
            hint=f"correct model_type in {CONFIG}, or save the tensors without '{prefix}'",
        )
    raise UserError(
        f"the weights in {folder} do not fill the model: {len(missing)} tensors are missing, "
        f"such as {missing[0]}",
        code="encoder-weights-missing",
        hint="give a complete encoder",
    )


def without_pooler(config: Any) -> dict[str, bool]:
    """The option that leaves out the pooler, where the model of this config has one."""
    from transformers import AutoModel

    model_class: Any = AutoModel._model_mapping[type(config)]
    parameters = inspect.signature(model_class).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in parameters else {}


def _load(
    model_class: Any, folder: Path, **options: Any
) -> tuple["PreTrainedModel", Mapping[str, Any]]:
    """Quiet: transformers warns of poolers and heads, which are left out on purpose."""
    import torch
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        model, loading = model_class.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            **options,
        )
    except Exception as error:  # every type of model checks its settings in its own way
        if problem := as_user_error(error):
            raise problem from None
        raise UserError(
            f"the weights in {folder} cannot be loaded: {str(error) or type(error).__name__}",
            code="encoder-weights-invalid",
            hint=f"give the weights that belong to its {CONFIG}",
        ) from None
    finally:
        logging.set_verbosity(verbosity)
    return model, loading


def _other_weights(folder: Path) -> str:
    """Weights in other formats, or what may be taken for them, in words."""
    seen: set[str] = set()
    others: list[str] = []
    for pattern, what in _OTHER_WEIGHTS.items():
        if names := sorted({file.name for file in folder.glob(pattern)} - seen):
            seen.update(names)
            others.append(f"{', '.join(names)}, {what}")
    return f"only {'; '.join(others)}" if others else "none"


def _left_out(unexpected: Iterable[str]) -> list[str]:
    """Heads and poolers are no layers, and usual."""
    layers = {match[0] for name in unexpected if (match := _LAYER.match(name))}
    if not layers:
        return []
    named = sorted(layers, key=lambda name: (len(name), name))
    more = f" and {len(named) - _NAMED_LAYERS} more" if len(named) > _NAMED_LAYERS else ""
    return [
        f"the weights have tensors of {', '.join(named[:_NAMED_LAYERS])}{more}, which the model "
        f"of {CONFIG} lacks: they are left out (see num_hidden_layers)"
    ]


def _wrong_prefix(missing: Iterable[str], names: Iterable[str]) -> str | None:
    """What stands before the missing names in the files, such as `module.`."""
    old_names = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
    found = list(names)
    for old, new in old_names.items():
        found = [name.replace(old, new) for name in found]
    prefixes = Counter(
        name.removesuffix(key) for key in missing for name in found if name.endswith(f".{key}")
    )
    return prefixes.most_common(1)[0][0] if prefixes else None


def _refuse_no_numbers(folder: Path) -> None:
    """Raises UserError for weights that are whole numbers, or not finite."""
    for file in (folder / name for name in weight_files(folder) if name != _INDEX):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - it is no dict
                tensor = tensors.get_tensor(name)
                is_weight = name.endswith(_WEIGHT_NAMES)
                if is_weight and not tensor.is_floating_point():
                    problem = f"{name} holds numbers of {tensor.dtype}"
                elif tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                    problem = f"{name} holds numbers that are not finite"
                else:
                    continue
                raise UserError(
                    f"{file} is damaged or quantised: {problem}",
                    code="encoder-weights-invalid",
                    hint="give an encoder in float32, float16 or bfloat16, as it was trained",
                )


def _refuse_mismatched(
    mismatched: Iterable[tuple[str, Iterable[int], Iterable[int]]], table: str, folder: Path
) -> None:
    """Raises UserError for tensors of another shape than config.json says, the table's first."""
    for name, found, expected in sorted(mismatched, key=lambda one: (one[0] != table, one[0])):
        has, wanted = list(found), list(expected)
        if name == table and has[1:] == wanted[1:]:
            raise UserError(
                f"{folder} has embeddings for {has[0]} tokens, but vocab_size in its {CONFIG} is "
                f"{wanted[0]}",
                code="encoder-weights-invalid",
                hint=f"set vocab_size to {has[0]}, or give the weights that belong to the {CONFIG}",
            )
        raise UserError(
            f"the weights in {folder} do not fit its {CONFIG}: {name} has the shape {has}, not "
            f"{wanted}",
            code="encoder-weights-invalid",
            hint=f"give the weights that belong to its {CONFIG}",
        )
