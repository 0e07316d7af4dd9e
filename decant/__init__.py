"""Decant: what a BERT knows, in a small and fast model.

    from decant import TextClassifier

    classifier = TextClassifier.load("artifacts/onnx/student")
    classifier.predict(["a moving and very funny film"])  # [Prediction(label='fresh', score=0.97)]

This is the public API. Nothing is imported before it is used: `import decant` costs nothing, and a
classifier needs onnxruntime, tokenizers and numpy alone.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decant.inference.classifier import Prediction
    from decant.runtime.errors import UserError
    from decant.text_classifier import TextClassifier

__all__ = ["Prediction", "TextClassifier", "UserError"]

_PLACES = {
    "Prediction": "decant.inference.classifier",
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
