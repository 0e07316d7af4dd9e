"""Small, offline stand-ins for what the pipeline reads: a random BERT and a learnable corpus."""

import os
import random
import shutil
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from decant.runtime.identity import PROJECT
from decant.runtime.params_file import read_params_file

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from tests.spooling import Store

# Properties are tried with the same few examples everywhere; no time limit, since machines differ.
hypothesis.settings.register_profile("decant", max_examples=40, deadline=None, derandomize=True)
hypothesis.settings.load_profile("decant")
os.environ.setdefault("DECANT_TRACKING", "off")  # tests of the tracking switch it on themselves
os.environ.setdefault("DECANT_RETRY_SECONDS", "0")  # tests of the retries set it themselves
os.environ["TOKENIZERS_PARALLELISM"] = "true"
# Every core has a pytest process of its own; more threads each would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell starts a job in the background with SIGINT ignored, and so would be what tests interrupt.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

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
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
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


@pytest.fixture(scope="session")
def tiny_exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported folder whose logits are (share of NEGATIVE words, share of POSITIVE words) * 20.

    Both are shares of all tokens, [CLS] and [SEP] included. Texts are cut after 32 tokens.
    """
    import json

    from tests.word_models import write_manifest, write_word_model

    weights = [dict.fromkeys(words, 20.0) for words in (NEGATIVE, POSITIVE)]
    folder = write_word_model(tmp_path_factory.mktemp("exported"), weights)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    write_manifest(folder, manifest | {"labels": ["negative", "positive"]})
    return folder


@pytest.fixture(scope="session")
def tiny_neighbourly(tmp_path_factory: pytest.TempPathFactory, tiny_exported: Path) -> Path:
    """tiny_exported, but padding counts as tokens: a score depends on the longest of its batch."""
    import shutil

    import numpy as np
    import onnx

    folder = tmp_path_factory.mktemp("neighbourly") / "exported"
    shutil.copytree(tiny_exported, folder)
    graph = onnx.load(folder / "model.onnx")
    pad = next(weight for weight in graph.graph.initializer if weight.name == "pad")
    pad.CopyFrom(onnx.numpy_helper.from_array(np.array(-1, dtype=np.int64), "pad"))
    onnx.save_model(graph, folder / "model.onnx")
    return folder


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs, to be copied: making one takes a second."""
    from mlflow.tracking import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def mlflow_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_mlflow: Path) -> "Store":
    """The tracking store of a test, which can go away; its spool is a folder beside it."""
    from tests.spooling import Store

    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    store = Store(tmp_path)
    for name in ("MLFLOW_RUN_ID", "KFP_RUN_ID", "DVC_EXP_NAME", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DECANT_TRACKING", "on")
    monkeypatch.setenv("DECANT_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    return store


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


@pytest.fixture(scope="session")
def tiny_params(tiny_csv: Path, tiny_encoder: Path) -> dict[str, Any]:
    """params.yaml, made small: the whole pipeline on the tiny corpus in seconds."""
    content = read_params_file(PROJECT / "params.yaml")
    content["ingest"] |= {
        "source": str(tiny_csv),
        "local_corpus": str(tiny_csv.parent),
        "encoder": str(tiny_encoder),
        "local_encoder": str(tiny_encoder),
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
