"""Loads what the steps load, also what they load late, so that the image has its bytecode.

Run while the image is built. A container may write no bytecode: what is missing would be compiled
anew in each of them, which took a start of fine-tuning twice its time.
"""

import tempfile
from pathlib import Path

from matplotlib.backends import backend_agg
from torch import nn
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, Trainer

from components.export_onnx.graph import export_graph
from decant.runtime.steps import STEPS, import_step


def main() -> None:
    for step in STEPS:
        import_step(step)
    # Of transformers what is loaded by name, of Matplotlib what draws, of torch what exports.
    assert PreTrainedTokenizerFast
    assert Trainer
    assert backend_agg
    config = BertConfig(
        vocab_size=8,
        hidden_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=4,
        max_position_embeddings=16,
    )
    BertModel(config, add_pooling_layer=False)
    with tempfile.TemporaryDirectory() as folder:
        export_graph(nn.Embedding(8, 2), Path(folder) / "model.onnx", pad_id=0, opset=20)


if __name__ == "__main__":
    main()
