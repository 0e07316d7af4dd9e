"""By what the models of a data set are judged, as a text that a table can hold."""

from decant.figures.figure_text import ScoreText
from decant.tasks.kinds import kinds
from decant.tasks.spec import metrics
from decant.tasks.task import Task

ACCURACY = "accuracy"
SCORE = "score"
_AND = "+"


def metric_names(task: Task) -> str:
    """The metric of the only target, or those of several, such as `accuracy+pearson`."""
    return _AND.join(target.metric for target in task.targets)


def score_text(names: str) -> ScoreText:
    """How the score of such a task is named and written. Raises KeyError for an unknown metric."""
    known = {name: metric for kind in kinds() for name, metric in metrics(kind).items()}
    found = [known[name] for name in names.split(_AND)]
    title = found[0].title if len(found) == 1 else "mean score"
    return ScoreText(title=title, is_share=all(metric.is_share for metric in found))


def short_name(names: str) -> str:
    """As a column of a table ends: the only metric, `score` of several."""
    return SCORE if _AND in names else names
