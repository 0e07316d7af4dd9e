"""The encoder artifact: a pretrained BERT-family encoder and its fast tokenizer.

config.json, model.safetensors (or its shards and their index), tokenizer.json,
special_tokens_map.json, and tokenizer_config.json where the source has one
more/1/, more/2/ ...              further encoders, of further teachers, each with the same files
"""

import inspect
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from decant.runtime.artifacts import read_json, write_json
from decant.runtime.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Model types whose AutoModel takes input_ids and attention_mask and gives last_hidden_state.
SUPPORTED = (
    "albert",
    "bert",
    "camembert",
    "convbert",
    "data2vec-text",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "ernie",
    "megatron-bert",
    "mobilebert",
    "modernbert",
    "mpnet",
    "rembert",
    "roberta",
    "roberta-prelayernorm",
    "squeezebert",
    "xlm-roberta",
    "xlm-roberta-xl",
)
# These number positions from padding_id + 1, so the first rows of the table are never used.
_POSITIONS_AFTER_PADDING = {
    "camembert",
    "data2vec-text",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
}
CONFIG, TOKENIZER, SPECIAL_TOKENS = "config.json", "tokenizer.json", "special_tokens_map.json"
MORE_ENCODERS = "more"
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_TOKENIZER_CONFIG = "tokenizer_config.json"
_SLOW_VOCABULARIES = ("vocab.txt", "vocab.json", "merges.txt")
_SPECIALS = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")


@dataclass(frozen=True, kw_only=True)
class SpecialIds:
    """Token ids of the five special tokens."""

    pad_id: int
    unk_id: int
    cls_id: int
    sep_id: int
    mask_id: int


def check_encoder(folder: Path) -> None:
    """Raises UserError, with what is missing, when this is not a usable BERT-family encoder."""
    if not folder.is_dir() or not (folder / CONFIG).is_file():
        raise UserError(
            f"{folder} is not an encoder: it has no {CONFIG}",
            code="encoder-config-missing",
            hint="give a folder as save_pretrained() writes it, or an hf:// model",
        )
    model_type = read_config(folder).get("model_type")
    if model_type not in SUPPORTED:
        raise UserError(
            f"{folder} has a model of type '{model_type}', which is not a BERT-family encoder",
            code="encoder-type-unsupported",
            hint=f"types that work: {', '.join(SUPPORTED)}",
        )
    for name in _weight_files(folder):
        if name != _INDEX:
            _check_weights(folder / name)
    if not any((folder / name).is_file() for name in (TOKENIZER, *_SLOW_VOCABULARIES[:2])):
        raise UserError(
            f"{folder} has no fast tokenizer: neither {TOKENIZER} nor a vocabulary to make it from",
            code="tokenizer-missing",
            hint="save it with AutoTokenizer.from_pretrained(...).save_pretrained(folder)",
        )


def copy_encoder(source: Path, target: Path) -> None:
    """Copy only what an encoder needs; make tokenizer.json where there is only a vocabulary.

    Raises UserError as `check_encoder`.
    """
    check_encoder(source)
    for name in (CONFIG, *_weight_files(source)):
        shutil.copyfile(source / name, target / name)
    if (source / TOKENIZER).is_file():
        shutil.copyfile(source / TOKENIZER, target / TOKENIZER)
    else:
        _auto_tokenizer(source).backend_tokenizer.save(str(target / TOKENIZER))
    if (source / _TOKENIZER_CONFIG).is_file():
        shutil.copyfile(source / _TOKENIZER_CONFIG, target / _TOKENIZER_CONFIG)
    tokens = _special_tokens(source) or _default_special_tokens(source)
    write_json(target / SPECIAL_TOKENS, tokens)
    special_ids(target)


def more_encoders(folder: Path) -> list[Path]:
    """The folders of the further encoders of an encoder artifact, in their order."""
    return sorted((folder / MORE_ENCODERS).glob("*"), key=lambda encoder: int(encoder.name))


def load_encoder(folder: Path) -> "PreTrainedModel":
    """The encoder in float32 on the CPU, without the pooler, which nothing here uses.

    Its forward takes input_ids and attention_mask (batch, length) and gives last_hidden_state
    (batch, length, hidden).

    Raises UserError when the weights are damaged, do not fit the model or do not fill it.
    """
    from transformers import AutoConfig, AutoModel

    check_encoder(folder)
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    encoder, missing = load_pretrained(AutoModel, folder, config=config, **_without_pooler(config))
    if missing := [key for key in missing if "pooler" not in key]:
        raise UserError(
            f"the weights in {folder} do not fill the model: {len(missing)} tensors are missing, "
            f"such as {missing[0]}",
            code="encoder-weights-missing",
            hint="give a complete encoder",
        )
    return encoder


def load_pretrained(
    model_class: Any, folder: Path, **options: Any
) -> tuple["PreTrainedModel", list[str]]:
    """A local model in float32 on the CPU, and the weights that the folder lacks, sorted.

    Quiet: transformers warns of poolers and heads, which are left out on purpose.

    Args:
        model_class: one of transformers' Auto classes.

    Raises UserError when the weights are damaged or do not fit the model.
    """
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
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise UserError(
            f"the weights in {folder} cannot be loaded: {error}",
            code="encoder-weights-invalid",
            hint=f"give the weights that belong to its {CONFIG}",
        ) from None
    finally:
        logging.set_verbosity(verbosity)
    return model, sorted(loading["missing_keys"])


def build_encoder(folder: Path) -> "PreTrainedModel":
    """An encoder of the shape in the folder's config.json, its weights not yet loaded."""
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    encoder: PreTrainedModel = AutoModel.from_config(config, **_without_pooler(config))
    return encoder


def load_tokenizer(folder: Path) -> Tokenizer:
    """The encoder's tokenizer: adds the special tokens, neither pads nor truncates.

    Raises UserError when its file cannot be read.
    """
    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    except Exception as error:  # the library has no narrower exception
        raise UserError(
            f"{folder / TOKENIZER} is not a readable tokenizer: {error}",
            code="tokenizer-invalid",
            hint="save it with AutoTokenizer.from_pretrained(...).save_pretrained(folder)",
        ) from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def special_ids(folder: Path) -> SpecialIds:
    """The ids of the five special tokens.

    Raises UserError when the tokenizer lacks one of them, or does not put text between cls_id and
    sep_id as distillation expects.
    """
    tokens = _special_tokens(folder) or _default_special_tokens(folder)
    tokenizer = load_tokenizer(folder)
    ids: dict[str, int] = {}
    for name in _SPECIALS:
        token_id = tokenizer.token_to_id(tokens.get(name, ""))
        if token_id is None:
            raise UserError(
                f"the tokenizer of {folder} has no {name}",
                code="tokenizer-unsuitable",
                hint="give an encoder that was pretrained with masked tokens, as BERT was",
            )
        ids[name.replace("_token", "_id")] = token_id
    encoded = tokenizer.encode("text").ids
    if encoded[:1] != [ids["cls_id"]] or encoded[-1:] != [ids["sep_id"]]:
        raise UserError(
            f"the tokenizer of {folder} does not encode text as {tokens['cls_token']} ... "
            f"{tokens['sep_token']}: 'text' gives {encoded}",
            code="tokenizer-unsuitable",
            hint=f"give a {TOKENIZER} whose post-processor adds both, as BERT's does",
        )
    return SpecialIds(**ids)


def position_limit(folder: Path) -> int:
    """The longest input in tokens, special tokens included, for which the encoder has positions."""
    config = read_config(folder)
    positions = int(config.get("max_position_embeddings", 512))
    if config["model_type"] in _POSITIONS_AFTER_PADDING:
        positions -= int(config.get("pad_token_id", 1)) + 1
    return positions


def read_config(folder: Path) -> dict[str, Any]:
    """The encoder's config.json. Raises UserError when it is not a JSON object."""
    return _json(folder / CONFIG)


def _json(file: Path) -> dict[str, Any]:
    try:
        content = read_json(file)
    except ValueError as error:
        raise UserError(f"{file} is not valid JSON: {error}", code="file-invalid") from None
    if not isinstance(content, dict):
        raise UserError(f"{file} is not a JSON object", code="file-invalid")
    return content


def _without_pooler(config: Any) -> dict[str, bool]:
    from transformers import AutoModel

    model_class: Any = AutoModel._model_mapping[type(config)]
    parameters = inspect.signature(model_class).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in parameters else {}


def _weight_files(folder: Path) -> list[str]:
    """The safetensors files of the model, in the order of the index where it is sharded."""
    if (folder / _WEIGHTS).is_file():
        return [_WEIGHTS]
    if (folder / _INDEX).is_file():
        weight_map = _json(folder / _INDEX).get("weight_map")
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
    pickled = sorted(file.name for file in folder.glob("*.bin"))
    found = f"only {', '.join(pickled)}, which is pickle and can run code" if pickled else "none"
    raise UserError(
        f"{folder} has no {_WEIGHTS}; weights found: {found}",
        code="encoder-weights-missing",
        hint="save the model with save_pretrained(folder, safe_serialization=True), "
        "or name a revision that has safetensors",
    )


def _check_weights(file: Path) -> None:
    """Read the header, which also gives the length of the file."""
    try:
        with safe_open(file, framework="numpy") as tensors:
            tensors.keys()
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{file} is not a readable safetensors file: {error}",
            code="encoder-weights-invalid",
            hint="fetch or save the encoder again",
        ) from None


def _special_tokens(folder: Path) -> dict[str, str] | None:
    """The five tokens by name from the folder's files; None when one is missing."""
    tokens: dict[str, str] = {}
    for name in (_TOKENIZER_CONFIG, SPECIAL_TOKENS):
        if (folder / name).is_file():
            for key, value in _json(folder / name).items():
                content = value.get("content") if isinstance(value, dict) else value
                if key in _SPECIALS and isinstance(content, str):
                    tokens[key] = content
    return tokens if len(tokens) == len(_SPECIALS) else None


def _default_special_tokens(folder: Path) -> dict[str, str]:
    """The same from the architecture's own defaults, for folders whose files lack them."""
    tokenizer = _auto_tokenizer(folder)
    return {name: str(token) for name in _SPECIALS if (token := getattr(tokenizer, name))}


def _auto_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, use_fast=True, trust_remote_code=False
        )
        json.loads(tokenizer.backend_tokenizer.to_str())
    except Exception as error:
        raise UserError(
            f"no fast tokenizer can be made from {folder}: {error}",
            code="tokenizer-invalid",
            hint="save it with AutoTokenizer.from_pretrained(...).save_pretrained(folder)",
        ) from None
    return tokenizer
