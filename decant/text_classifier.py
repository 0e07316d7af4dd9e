"""The classifier of the public API: loaded by one call, from a folder or from MLflow's registry."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from decant.inference.classifier import OnnxClassifier, problem_of
from decant.inference.model_files import MANIFEST
from decant.inference.refusals import refusals
from decant.runtime.errors import UserError
from decant.tracking.model_reference import names_version, parse_version

DEFAULT_MODEL = "artifacts/onnx/student"


class TextClassifier(OnnxClassifier):
    """An exported or registered model: texts in, answers out.

    Make one with `load`. It may be shared by threads.

    Attributes:
        task: what is answered: its targets.
        labels: a name per output: the classes or labels; of several targets TARGET.OUTPUT.
    """

    _download: tempfile.TemporaryDirectory[str] | None = None  # removed with the classifier

    @classmethod
    def load(
        cls, model: str | Path = DEFAULT_MODEL, *, threads: int = 1, device: str = "cpu"
    ) -> "TextClassifier":
        """Load a model.

        Args:
            model: an exported folder, such as `artifacts/onnx/student`, or a registered model:
                `models:/NAME/VERSION` or `models:/NAME@ALIAS` of the store in MLFLOW_TRACKING_URI
                (needs the extra `mlflow`). A string without `models:/` names one where there is
                no such folder.
            threads: of ONNX Runtime within one call; 0 means all cores.
            device: "cpu", or "cuda", which fails where ONNX Runtime sees no GPU.

        Raises:
            UserError: there is no such model, it cannot be read, or it is damaged.
            ModuleNotFoundError: a registered model without the extra `mlflow`.
        """
        if isinstance(model, Path) or not names_version(model) or Path(model).is_dir():
            return cls._open(Path(model), threads, device)
        from decant.tracking.registered_model import download_exported

        reference = parse_version(model)
        download = tempfile.TemporaryDirectory(prefix="decant-model-")
        folder = download_exported(str(reference), Path(download.name))
        classifier = cls._open(folder, threads, device)
        classifier._download = download
        return classifier

    def predict(self, texts: Sequence[str], *, batch_size: int = 1) -> list[Any]:
        """An answer per text, in the order of the texts, by the kind of the model's target.

        - one of several classes: Prediction(label, score), the best class and its probability;
        - any number of labels: Labels(labels, scores), those that apply, the most probable first,
          and the probability of every label by its name;
        - a number, such as a rating: Number(value);
        - several targets: a dict with one of these per target, by the target's name.

        Args:
            batch_size: 1 lets no text's answer depend on its neighbours (see OnnxClassifier).

        Raises:
            TypeError: one string instead of a list of them.
            ValueError: an element is not a text or is too long; its index is named.
            UserError: the model answers with NaN or an infinite number.
        """
        if isinstance(texts, str):
            raise TypeError("predict takes a list of texts, not one string: write [text]")
        for index, text in enumerate(texts):
            if problem := problem_of(text):
                raise ValueError(f"texts[{index}] is {problem}")
        with refusals():
            return super().predict(texts, batch_size=batch_size)

    @classmethod
    def _open(cls, folder: Path, threads: int, device: str) -> "TextClassifier":
        if not folder.is_dir():
            hint = "give an exported folder, NAME/VERSION or NAME@ALIAS"
            if str(folder) == DEFAULT_MODEL:
                hint = f"make it with `dvc repro`, or {hint}"
            raise UserError(
                f"there is no exported model at {folder}", code="artifact-missing", hint=hint
            )
        try:
            with refusals():
                return cls(folder, threads=threads, device=device)
        except UserError:
            raise
        except Exception as error:  # each library has its own for a damaged file
            inner = sorted(found.parent.name for found in folder.glob(f"*/{MANIFEST}"))
            hint = f"it has: {', '.join(inner)}; name one of them" if inner else ""
            raise UserError(
                f"the model in {folder} cannot be read: {error}", code="model-unreadable", hint=hint
            ) from None
