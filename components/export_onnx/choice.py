"""Which of the accepted forms of a graph is taken.

Of a control the smallest, which does not depend on the machine. Of a student the fastest, unless
its file is too large: a form is taken in place of a smaller one where it is clearly faster, so the
choice depends on the machine only where two forms are about `min_speedup` apart.
"""

from collections.abc import Sequence

from components.export_onnx.contract import StudentForms
from components.export_onnx.trials import Made, Trial

_MB = 1e6


def smallest(tried: Sequence[Trial]) -> Made | None:
    """The first of the smallest accepted forms; None without any."""
    return min(_accepted(tried), key=_size, default=None)


def fastest(tried: Sequence[Trial], forms: StudentForms) -> Made | None:
    """Of the accepted forms within the size limit; the smallest where none is within."""
    won: Trial | None = None
    for trial in sorted(_accepted_trials(tried), key=lambda trial: _size(_made(trial))):
        if won is None or (_is_within(trial, forms) and _speedup(trial, won) >= forms.min_speedup):
            won = trial
    return None if won is None else won.made


def reason(trial: Trial, won: Made | None) -> str:
    """Why a form was refused or not taken, or how it was chosen. Names no time."""
    if trial.refused or won is None:
        return "; ".join(trial.refused)
    if trial.made is won:
        return "taken"
    is_smaller = won.figures.size_bytes <= _size(_made(trial))
    return f"accepted; {won.form} is {'smaller' if is_smaller else 'faster'}"


def _is_within(trial: Trial, forms: StudentForms) -> bool:
    return _size(_made(trial)) <= forms.max_size_mb * _MB


def _speedup(trial: Trial, than: Trial) -> float:
    assert trial.times_as_slow is not None  # accepted forms are timed
    assert than.times_as_slow is not None
    return than.times_as_slow / trial.times_as_slow


def _accepted(tried: Sequence[Trial]) -> list[Made]:
    return [_made(trial) for trial in _accepted_trials(tried)]


def _accepted_trials(tried: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in tried if trial.made and not trial.refused]


def _made(trial: Trial) -> Made:
    assert trial.made is not None
    return trial.made


def _size(made: Made) -> int:
    return made.figures.size_bytes
