"""Graphs that the run did not export, behind the `tokenizers` library alone.

Decant's own dictionary of whole words, which `Exported` models have, is not theirs.
"""

import json
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from benchmarks.peers.peer import Answer, Run
from decant.inference.classifier import open_session
from decant.inference.model_files import GRAPH, MANIFEST, TOKENIZER

_FACTS = "facts.json"
_BERT_VOCABULARY, _BERT_LABELS = 30_522, ("0", "1")


class OptimumInt8:
    """The teacher in int8 as `optimum-cli onnxruntime quantize --avx512_vnni` makes it.

    That is ONNX Runtime's dynamic quantisation with these settings (optimum-onnx 0.1.0,
    `AutoQuantizationConfig.avx512_vnni(is_static=False)`). The package itself asks for a
    transformers below 4.58 and cannot be installed beside Decant's, so ONNX Runtime is called here
    directly, on the run's float32 graph.
    """

    def prepare(self, run: Run, folder: Path) -> None:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from onnxruntime.quantization.quant_utils import add_pre_process_metadata

        folder.mkdir()
        graph = onnx.load(run.folder / "onnx" / "teacher" / GRAPH)
        # Shapes between the nodes, some of which the quantiser refuses; it infers them itself.
        del graph.graph.value_info[:]
        add_pre_process_metadata(graph)  # without it, it warns that nothing was fused before
        quantize_dynamic(
            graph,
            folder / GRAPH,
            per_channel=False,
            reduce_range=False,
            weight_type=QuantType.QInt8,
            extra_options={
                "WeightSymmetric": True,
                "ActivationSymmetric": False,
                "MatMulConstBOnly": False,  # Optimum quantises attention's products too
            },
        )
        _write_beside(run, folder, run.labels)

    def open(self, folder: Path, threads: int) -> Answer:
        return _open(folder, threads)


class BertBaseShape:
    """BERT-base with random weights behind the teacher's tokenizer, as `evaluate` times it."""

    def prepare(self, run: Run, folder: Path) -> None:
        from components.evaluate.bert_base import cached_graph

        folder.mkdir()
        shutil.copyfile(cached_graph(), folder / GRAPH)
        _write_beside(run, folder, _BERT_LABELS, vocabulary=_BERT_VOCABULARY)

    def open(self, folder: Path, threads: int) -> Answer:
        return _open(folder, threads)


class TwoLayers:
    """The encoder's first two layers, fine-tuned on the same rows as the teacher was."""

    def prepare(self, run: Run, folder: Path) -> None:
        from benchmarks.peers.two_layers import export_two_layers

        folder.mkdir()
        export_two_layers(run, folder)
        _write_beside(run, folder, run.labels)

    def open(self, folder: Path, threads: int) -> Answer:
        return _open(folder, threads)


def _write_beside(
    run: Run, folder: Path, labels: tuple[str, ...], *, vocabulary: int | None = None
) -> None:
    teacher = run.folder / "onnx" / "teacher"
    shutil.copyfile(teacher / TOKENIZER, folder / TOKENIZER)
    pad_id = json.loads((teacher / MANIFEST).read_text("utf-8"))["pad_id"]
    facts = {"labels": labels, "pad_id": pad_id, "vocabulary": vocabulary}
    (folder / _FACTS).write_text(json.dumps(facts), "utf-8")


def _open(folder: Path, threads: int) -> Answer:
    session = open_session(folder / GRAPH, threads, "cpu")
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    facts = json.loads((folder / _FACTS).read_text("utf-8"))
    labels, vocabulary = facts["labels"], facts["vocabulary"]
    tokenizer.enable_padding(pad_id=facts["pad_id"])

    def answer(texts: list[str]) -> list[str]:
        ids = np.array([one.ids for one in tokenizer.encode_batch_fast(texts)], dtype=np.int64)
        if vocabulary:
            ids = np.minimum(ids, vocabulary - 1)
        logits: NDArray[np.float32] = session.run(None, {"input_ids": ids})[0]
        return [labels[best] for best in logits.argmax(axis=1)]

    return answer
