"""Which accepted form is taken, on trials whose sizes and times are made up."""

from pathlib import Path

import pytest

from components.export_onnx.choice import fastest, reason, smallest
from components.export_onnx.contract import StudentForms
from components.export_onnx.trials import Figures, Made, Trial

MB = 1_000_000


def trial(form: str, size: int, slower: float = 1, refused: tuple[str, ...] = ()) -> Trial:
    figures = Figures(size_bytes=size, score=1, label_agreement=1)
    made = Made(form=form, graph=Path(form), figures=figures)
    return Trial(form=form, made=made, times_as_slow=slower, refused=refused)


def forms(*, max_size_mb: float = 5, min_speedup: float = 1.2) -> StudentForms:
    return StudentForms(
        forms=[],
        max_accuracy_loss=0,
        min_label_agreement=1,
        max_size_mb=max_size_mb,
        min_speedup=min_speedup,
    )


IMPOSSIBLE = Trial(form="static_int8", made=None, times_as_slow=None, refused=("no",))


def test_the_smallest_accepted_form() -> None:
    tried = [trial("a", 9), trial("b", 5), trial("c", 5), trial("d", 1, 1, ("no",)), IMPOSSIBLE]
    won = smallest(tried)
    assert won is not None
    assert won.form == "b"
    assert smallest([trial("d", 1, 1, ("no",)), IMPOSSIBLE]) is None
    assert smallest([]) is None


@pytest.mark.parametrize(
    ("speed", "limits", "taken"),
    [
        ((1.0, 1.0, 1.0), forms(), "small"),
        ((1.0, 1.3, 1.0), forms(), "middle"),
        ((1.0, 1.1, 1.1), forms(), "small"),  # not clearly faster
        ((1.0, 1.1, 1.3), forms(), "large"),  # than the one that is taken so far
        ((1.0, 1.3, 1.4), forms(), "middle"),
        ((1.0, 1.3, 1.6), forms(), "large"),
        ((1.0, 1.3, 1.6), forms(max_size_mb=4), "middle"),
        ((1.0, 1.3, 1.6), forms(max_size_mb=3), "middle"),  # the limit may be met exactly
        ((1.0, 1.3, 1.6), forms(max_size_mb=1), "small"),  # none is within
        ((1.0, 1.3, 1.6), forms(min_speedup=9), "small"),
        ((0.9, 1.0, 0.95), forms(min_speedup=1), "middle"),
    ],
)
def test_the_fastest_within_the_limit(
    speed: tuple[float, float, float], limits: StudentForms, taken: str
) -> None:
    sizes = {"large": 5 * MB, "small": 2 * MB, "middle": 3 * MB}
    slower = dict(zip(("small", "middle", "large"), (1 / one for one in speed), strict=True))
    tried = [IMPOSSIBLE, *(trial(name, size, slower[name]) for name, size in sizes.items())]
    tried.append(trial("refused", 1, 0.1, ("no",)))
    won = fastest(tried, limits)
    assert won is not None
    assert won.form == taken


def test_none_is_taken_where_none_is_accepted() -> None:
    assert fastest([IMPOSSIBLE, trial("d", 1, 1, ("no",))], forms()) is None


def test_reasons() -> None:
    small, large, refused = trial("small", 2, 2), trial("large", 3), trial("no", 1, 1, ("a", "b"))
    assert [reason(one, large.made) for one in (small, large, refused)] == [
        "accepted; large is faster",
        "taken",
        "a; b",
    ]
    assert reason(large, small.made) == "accepted; small is smaller"
    assert reason(IMPOSSIBLE, None) == "no"
