"""Text in, answer out, from an exported folder. Needs only onnxruntime, tokenizers and numpy.

model.onnx        input_ids int64 (batch, length) → logits float32 (batch, outputs)
tokenizer.json    truncates at max_length_tokens and adds the special tokens
manifest.json     the targets and what their logits mean, pad_id, parity, sizes; `files`: the sha256
                  of the other two; `digest`: that of its own entries
"""

import contextlib
import ctypes
import json
import math
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from decant.inference.manifest_task import manifest_task
from decant.inference.model_files import GRAPH, MANIFEST, TOKENIZER, checked_files
from decant.inference.wordpiece import WordPiece, read_wordpiece
from decant.tasks.answers import answerer
from decant.tasks.task import Task

# A tokenizer reads a whole text before it cuts it, in seconds per million characters, while a model
# reads some hundred tokens: without a limit one text could block a server for minutes.
MAX_CHARACTERS = 100_000
_INPUT, _OUTPUTS = "input_ids", ("logits",)
_FEW = 100
_MOST_IDS = 2**31


class NoAnswer(Exception):
    """A model does not answer as its manifest promises."""


class NotFinite(NoAnswer):
    """A model answers with NaN or an infinite number."""


class OnnxClassifier:
    """An exported teacher or student. `decant.TextClassifier` adds `load` and checks.

    Args:
        folder: with the three files above.
        threads: of ONNX Runtime within one call; 0 means all cores.
        device: "cpu", or "cuda", which fails when ONNX Runtime finds no GPU.

    Attributes:
        task: what is answered: its targets.
        labels: a name per logit: the classes or labels; of several targets TARGET.OUTPUT.

    Raises:
        FileNotFoundError: a file of the folder is missing.
        DamagedModel: a file is not the one that the manifest names.
        ValueError: the manifest is damaged, newer than known, or of another graph.
        RuntimeError: a GPU is requested and there is none.
    """

    def __init__(self, folder: Path | str, *, threads: int = 1, device: str = "cpu") -> None:
        self.folder = Path(folder)
        for name in (GRAPH, TOKENIZER, MANIFEST):
            if not (self.folder / name).is_file():
                raise FileNotFoundError(
                    f"{self.folder} is not an exported model: {name} is missing"
                )
        self.manifest = read_manifest(self.folder)
        with checked_files(self.folder, self.manifest):
            self.task: Task = manifest_task(self.manifest)
            self.labels: tuple[str, ...] = self.task.outputs
            self.pad_id: int = self.manifest["pad_id"]
            self._answer = answerer(self.task)
            self.tokenizer: Tokenizer = Tokenizer.from_file(str(self.folder / TOKENIZER))
            self.tokenizer.no_padding()
            # Only where the export has found it to be exact. Older manifests do not say.
            checked = self.manifest.get("wordpiece_texts") is not None
            self._words: WordPiece | None = (
                read_wordpiece(self.folder / TOKENIZER) if checked else None
            )
            self.session = open_session(self.folder / GRAPH, threads, device)
            _check_graph(self.session, self.labels)

    def encode(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Token ids (batch, longest), padded with pad_id."""
        rows = self._ids(texts)
        if len(rows) == 1:
            return np.array(rows, dtype=np.int64)
        ids = np.full((len(rows), max(map(len, rows), default=0)), self.pad_id, dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
        return ids

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Of each text, from the words that are known, the others from the tokenizer."""
        found = [self._words.ids(text) if self._words else None for text in texts]
        known = [ids for ids in found if ids is not None]
        if len(known) == len(found):
            return known
        left = [text for text, ids in zip(texts, found, strict=True) if ids is None]
        rest = iter(self.tokenizer.encode_batch_fast(left))
        return [next(rest).ids if ids is None else ids for ids in found]

    def run(self, input_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits (batch, outputs) of token ids (batch, length): the model alone."""
        logits: NDArray[np.float32] = self.session.run(_OUTPUTS, {_INPUT: input_ids})[0]
        return logits

    def logits(self, texts: Sequence[str], *, batch_size: int = 32) -> NDArray[np.float32]:
        """Logits (texts, outputs), in the order of the texts; tokenization included.

        Raises NoAnswer where the model gives none, NotFinite where one is not a finite number.
        """
        if 0 < len(texts) <= batch_size:
            return self._batch(texts, 0)
        parts = [
            self._batch(texts[start : start + batch_size], start)
            for start in range(0, len(texts), batch_size)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.labels)), np.float32)

    def predict(self, texts: Sequence[str], *, batch_size: int = 1) -> list[Any]:
        """An answer per text: a Prediction, Labels or a Number, by the kind of the target.

        Of several targets it is a dict with the answer of each, by the target's name.

        Args:
            batch_size: 1 lets no text's answer depend on its neighbours. In a batch their padding
                and, in an int8 graph, their range move a score: by 0.13 in an int8 teacher. On
                one thread larger batches are hardly faster.
        """
        return self._answer(self.logits(texts, batch_size=batch_size))

    def _batch(self, texts: Sequence[str], start: int) -> NDArray[np.float32]:
        """Logits (batch, outputs); `start` is the first text's number, for errors."""
        try:
            part = self.run(self.encode(texts))
        except Exception as error:
            if not _is_of_model(error):
                raise
            raise NoAnswer(
                f"the model in {self.folder} does not answer text {start} (the first is 0): {error}"
            ) from None
        if part.shape != (len(texts), len(self.labels)):
            raise NoAnswer(
                f"the model in {self.folder} answers {len(texts)} texts with logits of the shape "
                f"{part.shape}, and its {MANIFEST} names {len(self.labels)} outputs"
            )
        if not _is_finite(part):
            raise self._not_finite(part, start)
        return part

    def _not_finite(self, logits: NDArray[np.float32], start: int) -> NotFinite:
        row = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
        found = ", ".join(f"{value:g}" for value in logits[row][:10])
        return NotFinite(
            f"the model in {self.folder} answers text {start + row} (the first is 0) with logits "
            f"that are not finite numbers: {found}"
        )


def problem_of(value: object) -> str | None:
    """Why `value` cannot be classified, to follow "row 3 is"; None when it can.

    The empty text is a text.
    """
    if not isinstance(value, str):
        return f"{'missing' if _is_missing(value) else reprlib.repr(value)}, not text"
    if len(value) > MAX_CHARACTERS:
        return f"too long: {len(value):,} characters, at most {MAX_CHARACTERS:,} are allowed"
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return f"not Unicode: {_broken(value[error.start])} at position {error.start}"
    return None


def read_manifest(folder: Path) -> dict[str, Any]:
    """Of an exported folder. Raises ValueError when it is not a JSON object."""
    try:
        content = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its {MANIFEST} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"its {MANIFEST} is not a JSON object")
    if type(pad_id := content.get("pad_id")) is not int or not 0 <= pad_id < _MOST_IDS:
        raise ValueError(f"its {MANIFEST} is damaged: it has no valid `pad_id`")
    return content


def open_session(graph: Path, threads: int, device: str) -> onnxruntime.InferenceSession:
    """A session on an ONNX file; `threads` and `device` as in OnnxClassifier."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    if device == "cuda":
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()
        providers = ["CUDAExecutionProvider", *providers]
    session = onnxruntime.InferenceSession(str(graph), options, providers=providers)
    _give_back_memory()
    if device == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
        raise RuntimeError(
            "a GPU is requested, but ONNX Runtime could not open one: "
            "check the driver and that onnxruntime-gpu's CUDA major is torch's"
        )
    return session


def _give_back_memory() -> None:
    """What opening a file took beside the model: of a folded one 100 MB, which glibc would keep."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _is_finite(logits: NDArray[np.float32]) -> bool:
    """Of few numbers in Python: NumPy's calls would take longer than the numbers."""
    if logits.size <= _FEW:
        return all(map(math.isfinite, logits.ravel().tolist()))
    return bool(np.isfinite(logits).all())


def _is_of_model(error: Exception) -> bool:
    """Whether graph or tokenizer are at fault, and not what was asked, nor a lack of memory."""
    of_runtime = type(error).__module__.startswith("onnxruntime")
    of_tokenizer = type(error) is Exception  # the library has no other for itself
    return (of_runtime or of_tokenizer) and "alloc" not in str(error)


def _check_graph(session: onnxruntime.InferenceSession, outputs: Sequence[str]) -> None:
    """That it takes token ids and gives logits, as many as the manifest has names for."""
    takes = [(one.name, one.type) for one in session.get_inputs()]
    gives = [(one.name, one.type) for one in session.get_outputs()]
    if takes != [(_INPUT, "tensor(int64)")] or gives != [(_OUTPUTS[0], "tensor(float)")]:
        raise ValueError(f"{GRAPH} takes {takes} and gives {gives}: it is not a classifier's")
    shape = session.get_outputs()[0].shape
    width = shape[-1] if shape else None  # a text where the graph leaves it open
    if isinstance(width, int) and width != len(outputs):
        raise ValueError(
            f"{GRAPH} has {width} outputs and {MANIFEST} names {len(outputs)}: they are not of "
            "one model"
        )


def _is_missing(value: object) -> bool:
    """None, or what pandas has in its place."""
    is_nan = isinstance(value, float) and value != value
    return value is None or is_nan or type(value).__name__ in ("NAType", "NaTType")


def _broken(character: str) -> str:
    """Python represents a byte that is not UTF-8, as in an argument, as U+DC00 plus the byte."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"byte 0x{code - 0xDC00:02x}, which is not UTF-8,"
    return f"half a surrogate pair, U+{code:04X},"
