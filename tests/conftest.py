"""Small, offline stand-ins for what the pipeline reads: a random BERT and a learnable corpus."""

import os
import random
from pathlib import Path

import pytest

os.environ.setdefault("DECANT_TRACKING", "off")  # tests of the tracking switch it on themselves
os.environ["TOKENIZERS_PARALLELISM"] = "true"

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


@pytest.fixture(scope="session")
def tiny_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of 400 lines: text, label (positive/negative), film."""
    import pandas as pd

    file = tmp_path_factory.mktemp("corpus") / "reviews.csv"
    pd.DataFrame(corpus_rows(400)).to_csv(file, index=False)
    return file


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT folder with random weights: 2 layers, 32 wide, WordPiece of about 100 pieces."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
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
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder
