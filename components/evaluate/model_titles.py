"""How tables and pictures call the models."""

from components.evaluate import bert_base
from components.evaluate.tested_models import BERT_BASE, TFIDF
from decant.tasks.control import control_title
from decant.tasks.task import Task


def model_titles(task: Task) -> dict[str, str]:
    """By the models' names, in the order of the tables; that of the control follows the task."""
    return {
        "teacher": "teacher",
        "teacher_int8": "teacher, int8",
        "student": "student",
        "student_float32": "student, float32",
        "undistilled": "undistilled student",
        TFIDF: control_title(task),
        BERT_BASE: bert_base.NAME,
    }


def titles_by_target(task: Task) -> dict[str, dict[str, str]]:
    """The same per target, each with its own control."""
    return {target.name: model_titles(Task((target,))) for target in task.targets}
