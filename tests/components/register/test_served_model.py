"""What the served model changes in the process of MLflow's scoring server, and what it does not."""

import io
import logging

import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server

from components.register import served_model


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring_server, "parse_csv_input", scoring_server.parse_csv_input)


def test_the_server_reads_csv_as_it_stands() -> None:
    served_model._read_csv_as_texts()
    table = io.StringIO("text,id\nNA,1\n,2\n", newline="")
    frame = scoring_server.parse_csv_input(csv_input=table, schema=None)
    assert frame.to_dict("list") == {"text": ["NA", ""]}
    with pytest.raises(MlflowException, match="row 0 of the input is not CSV") as refused:
        scoring_server.parse_csv_input(csv_input=io.StringIO("text\na,b\n"))
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE", "a server answers 400"


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_a_missing_value_in_a_frame_is_refused_with_its_row(missing: object) -> None:
    frame = pd.DataFrame({"text": ["NA", missing]}, dtype=object)
    with pytest.raises(MlflowException, match="row 1 of the input is missing, not text"):
        served_model.ServedModel().predict(None, frame)


def test_a_function_of_another_mlflow_stays_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def other(csv_input: object, schema: object, encoding: str) -> pd.DataFrame:
        return pd.DataFrame()

    monkeypatch.setattr(scoring_server, "parse_csv_input", other)
    with caplog.at_level(logging.WARNING):
        served_model._read_csv_as_texts()
    assert scoring_server.parse_csv_input is other
    assert "texts such as NA are refused" in caplog.text
