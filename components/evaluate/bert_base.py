"""A graph of BERT-base with random weights, to show the time of the usual encoder."""

import logging
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime
from filelock import FileLock
from numpy.typing import NDArray

from decant.inference.classifier import OnnxClassifier, open_session
from decant.runtime.cache_folder import cache_folder, is_intact, write_once
from decant.runtime.identity import text_digest

NAME = "BERT-base (random weights, speed only)"
SHAPE = "bert, 12 layers, 768 wide"
_VOCABULARY, _LONGEST, _SEED = 30_522, 512, 0  # of transformers' BertConfig()


class BertBase:
    """BERT-base behind the teacher's tokenizer. Its answers have no meaning."""

    def __init__(self, tokenizing: OnnxClassifier, *, threads: int) -> None:
        self._tokenizing = tokenizing
        self._session: onnxruntime.InferenceSession = open_session(cached_graph(), threads, "cpu")

    def encode(self, texts: list[str]) -> NDArray[np.int64]:
        """Token ids (batch, length), brought into BERT-base's vocabulary and length."""
        ids = self._tokenizing.encode(texts)[:, :_LONGEST]
        return np.minimum(ids, _VOCABULARY - 1)

    def run(self, input_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits (batch, 2) of token ids (batch, length)."""
        logits: NDArray[np.float32] = self._session.run(None, {"input_ids": input_ids})[0]
        return logits

    def predict(self, texts: list[str]) -> list[int]:
        """Text in, class out: the work of a real model."""
        return [int(best) for best in self.run(self.encode(texts)).argmax(axis=1)]


def cached_graph() -> Path:
    """The ONNX file (440 MB) in the cache folder, exported there once per set of versions."""
    versions = [f"{package}=={version(package)}" for package in ("torch", "onnx", "transformers")]
    key = text_digest(" ".join([*versions, str(_SEED)]))[:16]
    graph = cache_folder() / f"bert_base-{key}.onnx"
    graph.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{graph}.lock"):
        if not is_intact(graph):
            write_once(graph, _export)
    return graph


def _export(file: Path) -> None:
    # Imported here: it takes seconds, and only the first run on a machine needs it.
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = BertForSequenceClassification(BertConfig())

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            mask = (input_ids != 0).long()
            logits: torch.Tensor = self.bert(input_ids=input_ids, attention_mask=mask).logits
            return logits

    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.manual_seed(_SEED)
        example = torch.randint(1000, _VOCABULARY, (2, 16))
        torch.onnx.export(
            Graph().eval(),
            (example,),
            str(file),
            dynamo=True,
            input_names=["input_ids"],
            output_names=["logits"],
            dynamic_shapes={
                "input_ids": {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
            },
            external_data=False,
            verbose=False,
        )
