"""A model that the run exported, as `decant.TextClassifier` and the server run it."""

import shutil
from pathlib import Path

from benchmarks.peers.peer import Answer, Run
from decant.inference.classifier import OnnxClassifier


class Exported:
    """Of a role: teacher, teacher_int8, student or student_float32."""

    def __init__(self, role: str) -> None:
        self.role = role

    def prepare(self, run: Run, folder: Path) -> None:
        shutil.copytree(run.folder / "onnx" / self.role, folder)

    def open(self, folder: Path, threads: int) -> Answer:
        return answer_of(OnnxClassifier(folder, threads=threads))


def answer_of(model: OnnxClassifier) -> Answer:
    """All texts of a call in one batch."""

    def answer(texts: list[str]) -> list[str]:
        return [one.label for one in model.predict(texts, batch_size=len(texts))]

    return answer
