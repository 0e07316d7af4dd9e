"""Decant: what a BERT knows, in a small and fast model.

    from decant import TextClassifier

    classifier = TextClassifier.load("artifacts/onnx/student")
    classifier.predict(["a moving and very funny film"])  # [Prediction(label='fresh', score=0.97)]

A text gets a Prediction, Labels or a Number, by the kind of what the model was trained for; of a
model with several targets a dict with one of these for each.

This is the public API. Nothing is imported before it is used: `import decant` costs nothing, and a
classifier needs onnxruntime, tokenizers and numpy alone.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decant.runtime.errors import UserError
    from decant.tasks.multi_label.answers import Labels
    from decant.tasks.regression.answers import Number
    from decant.tasks.single_label.answers import Prediction
    from decant.text_classifier import TextClassifier

# ONNX Runtime would report every process, model and error to its makers. It asks when it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = ["Labels", "Number", "Prediction", "TextClassifier", "UserError"]

_PLACES = {
    "Labels": "decant.tasks.multi_label.answers",
    "Number": "decant.tasks.regression.answers",
    "Prediction": "decant.tasks.single_label.answers",
    "TextClassifier": "decant.text_classifier",
    "UserError": "decant.runtime.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'decant' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
