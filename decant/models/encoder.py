"""The encoder artifact: a pretrained BERT-family encoder and its fast tokenizer.

config.json, model.safetensors (or its shards and their index), tokenizer.json,
special_tokens_map.json, and tokenizer_config.json where the source has one
more/1/, more/2/ ...              further encoders, of further teachers, each with the same files
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from decant.models._config_values import check_values
from decant.models._json_object import json_object
from decant.models.encoder_tokenizer import (
    SPECIAL_TOKENS,
    SPECIALS,
    TOKENIZER,
    TOKENIZER_CONFIG,
    VOCABULARIES,
    check_embedded,
    read_tokenizer_file,
    special_tokens,
    write_tokenizer,
)
from decant.models.encoder_weights import (
    CONFIG,
    check_filled,
    load_pretrained,
    refuse_missing,
    tensor_names,
    weight_files,
    without_pooler,
)
from decant.runtime.artifact_files import reading
from decant.runtime.artifacts import write_json
from decant.runtime.errors import UserError
from decant.runtime.placeholder_files import refuse_placeholder

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = [
    "CONFIG",
    "MORE_ENCODERS",
    "SUPPORTED",
    "TOKENIZER",
    "SpecialIds",
    "build_encoder",
    "check_encoder",
    "copy_encoder",
    "load_encoder",
    "load_tokenizer",
    "more_encoders",
    "position_limit",
    "read_config",
    "special_ids",
]

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
MORE_ENCODERS = "more"
_ADAPTER = "adapter_config.json"
# A word that tokenizers know, and a letter of Old Slavonic that hardly one does.
_PROBES = ("text", "\ua66e")


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
    if (folder / _ADAPTER).is_file() and not any(folder.glob("model*.safetensors")):
        raise UserError(
            f"{folder} is a PEFT adapter ({_ADAPTER}), not a whole encoder",
            code="encoder-weights-missing",
            hint="merge it with its base: model.merge_and_unload().save_pretrained(folder)",
        )
    if not folder.is_dir() or not (folder / CONFIG).is_file():
        raise UserError(
            f"{folder} is not an encoder: it has no {CONFIG}",
            code="encoder-config-missing",
            hint="give a folder as save_pretrained() writes it, or an hf:// model",
        )
    for file in sorted(folder.iterdir()):
        if file.suffix in (".json", ".safetensors", ".txt", ".model") and file.is_file():
            refuse_placeholder(file)
    config = read_config(folder)
    model_type = config.get("model_type")
    if model_type not in SUPPORTED:
        raise UserError(
            f"{folder} has a model of type '{model_type}', which is not a BERT-family encoder",
            code="encoder-type-unsupported",
            hint=f"types that work: {', '.join(SUPPORTED)}",
        )
    check_values(config, folder / CONFIG)
    tensor_names(folder)
    if not any((folder / name).is_file() for name in (TOKENIZER, *VOCABULARIES)):
        raise UserError(
            f"{folder} has no fast tokenizer: neither {TOKENIZER} nor a vocabulary to make it from",
            code="tokenizer-missing",
            hint="save it with AutoTokenizer.from_pretrained(...).save_pretrained(folder)",
        )


def copy_encoder(source: Path, target: Path) -> list[str]:
    """Copy only what an encoder needs; what was decided on the way, in sentences.

    tokenizer.json is made where there is only a vocabulary. Everything that can be known without
    the weights themselves is checked: that they fill the model, and that every token has an
    embedding.

    Raises UserError when this is not a usable BERT-family encoder.
    """
    check_encoder(source)
    rows, facts = check_filled(source)
    for name in (CONFIG, *weight_files(source)):
        shutil.copyfile(source / name, target / name)
    facts += write_tokenizer(source, target)
    if (source / TOKENIZER_CONFIG).is_file():
        shutil.copyfile(source / TOKENIZER_CONFIG, target / TOKENIZER_CONFIG)
    write_json(target / SPECIAL_TOKENS, special_tokens(source))
    special_ids(target, shown=source)
    check_embedded(load_tokenizer(target), rows, source)
    return facts


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
    with reading(folder / CONFIG):
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    encoder, missing = load_pretrained(AutoModel, folder, config=config, **without_pooler(config))
    refuse_missing(missing, folder)
    return encoder


def build_encoder(folder: Path) -> "PreTrainedModel":
    """An encoder of the shape in the folder's config.json, its weights not yet loaded.

    Raises UserError when the config describes no encoder.
    """
    from transformers import AutoConfig, AutoModel

    check_values(read_config(folder), folder / CONFIG)
    with reading(folder / CONFIG):
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        encoder: PreTrainedModel = AutoModel.from_config(config, **without_pooler(config))
    return encoder


def load_tokenizer(folder: Path) -> Tokenizer:
    """The encoder's tokenizer: adds the special tokens, neither pads nor truncates.

    Raises UserError when its file cannot be read.
    """
    tokenizer = read_tokenizer_file(folder / TOKENIZER)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def special_ids(folder: Path, *, shown: Path | None = None) -> SpecialIds:
    """The ids of the five special tokens.

    Args:
        folder: the encoder's.
        shown: the folder to name in errors, where it is another.

    Raises UserError when the tokenizer lacks one of them, or does not put text between cls_id and
    sep_id as distillation expects.
    """
    tokens = special_tokens(folder)
    tokenizer = load_tokenizer(folder)
    ids: dict[str, int] = {}
    for name in SPECIALS:
        token_id = tokenizer.token_to_id(tokens.get(name, ""))
        if token_id is None:
            named = tokens.get(name)
            other = f", or correct {name} in {TOKENIZER_CONFIG} and {SPECIAL_TOKENS}"
            raise UserError(
                f"the tokenizer of {shown or folder} has no {name}"
                + (f" {named}" if named else ""),
                code="tokenizer-unsuitable",
                hint="give an encoder that was pretrained with masked tokens, as BERT was"
                + (other if named else ""),
            )
        ids[name.replace("_token", "_id")] = token_id
    try:
        encoded, _ = (tokenizer.encode(probe).ids for probe in _PROBES)
    except Exception as error:  # the library has no narrower exception
        raise UserError(
            f"the tokenizer of {shown or folder} cannot encode every text: {error}",
            code="tokenizer-unsuitable",
            hint="give the whole vocabulary that the encoder was trained with",
        ) from None
    if encoded[:1] != [ids["cls_id"]] or encoded[-1:] != [ids["sep_id"]]:
        raise UserError(
            f"the tokenizer of {shown or folder} does not encode text as {tokens['cls_token']} ... "
            f"{tokens['sep_token']}: 'text' gives {encoded}",
            code="tokenizer-unsuitable",
            hint=f"give a {TOKENIZER} whose post-processor adds both, as BERT's does",
        )
    return SpecialIds(**ids)


def position_limit(folder: Path) -> int:
    """The longest input in tokens, special tokens included, for which the encoder has positions."""
    config = read_config(folder)
    positions = int(config.get("max_position_embeddings") or 512)
    if config["model_type"] in _POSITIONS_AFTER_PADDING:
        padding = config.get("pad_token_id")
        positions -= (1 if padding is None else int(padding)) + 1
    return positions


def read_config(folder: Path) -> dict[str, Any]:
    """The encoder's config.json. Raises UserError when it is not a JSON object."""
    return json_object(folder / CONFIG)
