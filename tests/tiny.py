"""What the pipeline reads, made small: a random BERT, a learnable corpus, and parameters."""

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from decant.runtime.identity import PROJECT
from decant.runtime.params_file import read_params_file

if TYPE_CHECKING:
    from tokenizers import Tokenizer

POSITIVE = ["good", "great", "fine", "lovely", "superb", "moving", "funny", "clever"]
NEGATIVE = ["bad", "awful", "dull", "poor", "boring", "clumsy", "sad", "stale"]
NEUTRAL = ["the", "film", "is", "a", "plot", "actor", "scene", "and", "with", "of", "story", "it"]
PIECES = ["##s", "##ing", "##ly", "act", "un", ".", ",", "!", "?", "'"]
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]


def sentence(draw: random.Random, label: str) -> str:
    """Four to nine words, one or two of which give the label away."""
    words = draw.choices(NEUTRAL, k=draw.randint(3, 7))
    for _ in range(draw.randint(1, 2)):
        telling = draw.choice(POSITIVE if label == "positive" else NEGATIVE)
        words.insert(draw.randrange(len(words) + 1), telling)
    return " ".join(words)


def corpus_rows(rows: int, seed: int = 0) -> list[dict[str, str]]:
    """Distinct texts with balanced labels, in films of about four lines."""
    draw = random.Random(seed)
    seen: set[str] = set()
    result: list[dict[str, str]] = []
    while len(result) < rows:
        label = "positive" if len(result) % 2 else "negative"
        text = sentence(draw, label)
        if text not in seen:
            seen.add(text)
            result.append({"text": text, "label": label, "film": f"film {len(result) // 4}"})
    return result


def write_corpus(folder: Path) -> Path:
    """A CSV of 400 lines: text, label (positive/negative), film."""
    import pandas as pd

    file = folder / "reviews.csv"
    pd.DataFrame(corpus_rows(400)).to_csv(file, index=False)
    return file


def write_encoder(folder: Path) -> Path:
    """A BERT folder with random weights: 2 layers, 32 wide, WordPiece of about 100 pieces."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    tokenizer = tiny_tokenizer()
    BertTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def tiny_tokenizer() -> "Tokenizer":
    """BERT's WordPiece over the words above; [PAD] is 0, [CLS] 2, [SEP] 3."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*specials, *NEUTRAL, *POSITIVE, *NEGATIVE, *PIECES]
    pieces += [letter for letter in LETTERS if letter not in pieces]
    pieces += [f"##{letter}" for letter in LETTERS]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def tiny_parameters(csv: Path, encoder: Path) -> dict[str, Any]:
    """params.yaml, made small: the whole pipeline on the tiny corpus in seconds."""
    content = read_params_file(PROJECT / "params.yaml")
    content["ingest"] |= {
        "source": str(csv),
        "local_corpus": str(csv.parent),
        "encoder": str(encoder),
        "local_encoder": str(encoder),
        "label_column": "label",
        "group_by": "film",
        "labels": None,
        "unlabelled_labels": [],
        "label_budget": 100,
    }
    content["tokenize"]["max_length_tokens"] = 16
    content["finetune"]["frozen"] = "none"
    content["finetune"]["training"] |= {
        "epochs": 6,
        "batch_size": 16,
        "learning_rate": 0.01,
        "precision": "float32",
    }
    content["transfer_weights"] |= {"width": 16, "precision": "float32"}
    content["transfer_weights"]["students"]["cnn"] |= {"filters": 8, "kernel_widths": [1, 2]}
    content["distill"]["teacher_precision"] = "float32"
    content["distill"] |= {
        "transfer_rows": 600,
        "epoch_rows": 600,
        "embedding_learning_rate_share": 1.0,
    }
    content["distill"]["augmentation"]["neighbours"] = 3
    content["distill"]["training"] |= {"epochs": 2, "batch_size": 32}
    content["distill"]["undistilled_training"] |= {"epochs": 2}
    # Times of a tiny graph are noise: here they are to decide nothing.
    content["export_onnx"]["quantisation"]["max_slowdown"] = 1000.0
    content["export_onnx"]["quantisation"]["student"]["min_speedup"] = 1000.0
    content["evaluate"] |= {
        "bootstrap_samples": 100,
        "latency_texts": 10,
        "throughput_batches": 1,
        "bert_base": False,
        "gate": dict.fromkeys(content["evaluate"]["gate"])
        | {"must_beat_tfidf": False, "must_beat_undistilled": False, "targets": {}},
    }
    return content
