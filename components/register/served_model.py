"""The model as MLflow serves it: text in, the cells of an answer out.

MLflow copies this script beside the exported folder and runs it when the model is loaded, so that
nothing is pickled. It needs onnxruntime, tokenizers, numpy, pandas and MLflow itself.
"""

import inspect
import logging
import os
from collections.abc import Sequence
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from decant.inference.classifier import NoAnswer, OnnxClassifier, problem_of
from decant.inference.csv_texts import csv_texts
from decant.tasks.answers import cells, columns

TEXT = "text"
EXPORTED = "exported"  # the model's artifact with the exported folder
_SERVED_MODEL = "__pyfunc_model_path__"  # set in the process of `mlflow models serve`


class ServedModel(PythonModel):
    """Loads the exported folder once and answers batches."""

    def load_context(self, context: PythonModelContext) -> None:
        """Open the exported folder; MLflow calls it once, before the first request."""
        self.classifier = OnnxClassifier(context.artifacts[EXPORTED])
        if _SERVED_MODEL in os.environ:
            _read_csv_as_texts()

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """A frame with the cells of an answer per text, in the order and index of the input.

        `label` and `score`; `labels` and `scores`; or `value`, by the kind of the target; of
        several targets these of each, as `TARGET_label`. A text gets the same answer in every
        batch, to the last digit.

        Args:
            model_input: a frame with the column `text`; without MLflow's signature in front also a
                series, a list of strings, or one string.

        Raises MlflowException for a row that is not text or too long, naming the first one: a
        server answers 400; and for an answer that is not a finite number: 500.
        """
        texts, index = _texts(model_input)
        rows = self.rows(texts)
        found = {}
        for name, kind in columns(self.classifier.task).items():
            dtype = float if kind is float else object
            found[name] = pd.Series([row[name] for row in rows], index=index, dtype=dtype)
        return pd.DataFrame(found, index=index)

    def rows(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """The cells of an answer per text. The `serve` image asks it where there is no table.

        Raises MlflowException as `predict` does.
        """
        for row, text in enumerate(texts):
            if problem := problem_of(text):
                raise MlflowException.invalid_parameter_value(
                    f"row {row} of the input is {problem} (rows are counted from 0)"
                )
        try:
            answers = self.classifier.predict(texts)
        except NoAnswer as error:
            raise MlflowException(str(error)) from None
        return [cells(self.classifier.task, answer) for answer in answers]


def _read_csv_as_texts() -> None:
    """Have the scoring server of this process read CSV requests as they stand.

    MLflow reads them with pandas' list of words that mean missing, so that `NA`, `null` and the
    empty text reach no model, and it has no setting for that (mlflow/mlflow#5525). Its function is
    replaced in the server's own process alone, and only where it is called as it is known.
    """
    from mlflow.pyfunc import scoring_server

    known = ["csv_input", "schema"]
    if list(inspect.signature(scoring_server.parse_csv_input).parameters) != known:
        logging.getLogger(__name__).warning(
            "this version of MLflow reads CSV in a way that is not known here: texts such as NA "
            "are refused as missing; send JSON"
        )
        return
    scoring_server.parse_csv_input = _csv_table


def _csv_table(csv_input: Any, schema: object = None) -> pd.DataFrame:
    try:
        return pd.DataFrame({TEXT: csv_texts(csv_input.read(), TEXT)}, dtype=object)
    except ValueError as error:
        raise MlflowException.invalid_parameter_value(str(error)) from None


def _texts(model_input: object) -> tuple[list[str], pd.Index]:
    if isinstance(model_input, pd.DataFrame):
        if TEXT not in model_input.columns:
            found = ", ".join(map(str, model_input.columns))
            raise MlflowException.invalid_parameter_value(
                f"the input has no column '{TEXT}'; it has: {found}"
            )
        model_input = model_input[TEXT]
    if isinstance(model_input, str):
        model_input = [model_input]
    if not isinstance(model_input, pd.Series | Sequence):
        raise MlflowException.invalid_parameter_value(
            f"the input is {type(model_input).__name__}, not texts"
        )
    series = (
        model_input if isinstance(model_input, pd.Series) else pd.Series(model_input, dtype=object)
    )
    return list(series), series.index


set_model(ServedModel())
