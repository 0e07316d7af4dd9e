"""How good the models are: the content of quality.json, and the first part of metrics.json."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import (
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from decant.figures.figure_set import FigureSet, Interval, LeftOut
from decant.figures.figure_text import ScoreText
from decant.figures.target_figures import (
    AloneFigures,
    ConstantAnswer,
    FittedControl,
    TargetDifference,
    TargetFacts,
    TargetFigures,
)


class Parity(FigureSet):
    """The exported float32 graph against its PyTorch model, on validation rows."""

    rows: int
    """Validation rows that were compared."""

    max_logit_difference: float
    """The largest absolute difference of a logit."""

    label_agreement: float
    """Share of the rows with the same answer, 0 to 1."""


class AgainstFloat32(FigureSet):
    """A smaller form against the float32 graph that it was made of, on validation rows."""

    rows: int
    """Validation rows that were compared."""

    accuracy: LeftOut[float] = None
    """Share of the rows that the smaller form gets right, 0 to 1."""

    float32_accuracy: LeftOut[float] = None
    """Share of the rows that the float32 graph gets right, 0 to 1."""

    score: LeftOut[float] = None
    """The smaller form's score, where that is not accuracy."""

    float32_score: LeftOut[float] = None
    """The float32 graph's score, where that is not accuracy."""

    label_agreement: float
    """Share of the rows with the same answer, 0 to 1."""


class ClassRecall(FigureSet):
    """The recall of one class."""

    label: str
    """The class."""

    recall: float
    """Share of its test rows that get it as the answer, 0 to 1."""

    test_rows: int
    """Test rows with this label."""


class MissedClass(FigureSet):
    """A class with test rows of which the student has none right: its recall is 0."""

    target: LeftOut[str] = None
    """The target that it belongs to; left out where there is one."""

    label: str
    """The class."""

    test_rows: int
    """Test rows with this label."""

    teacher_right: int
    """Of these, those that its teacher has right: 0 where it misses the class too."""


def _accuracy(fields: dict[str, Any]) -> Any:
    return fields.get("accuracy")


def _accuracy_interval(fields: dict[str, Any]) -> Any:
    return fields.get("accuracy_interval")


class Scored(FigureSet):
    """Anything with a score: in Python `score`; in the file that of classes is `accuracy`."""

    accuracy: LeftOut[float] = None
    """Of classes alone, as a share of the test rows, 0 to 1."""

    score: float = Field(default_factory=_accuracy)
    """By the metric of the task; left out where there is accuracy."""

    @model_validator(mode="after")
    def _has_a_score(self) -> Self:
        if self.score is None or getattr(self, "score_interval", ()) is None:
            raise PydanticCustomError("score", "neither accuracy nor score with an interval")
        return self

    @model_serializer(mode="wrap")
    def _without_the_double(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        if "accuracy" in content:
            content.pop("score")
            content.pop("score_interval", None)
        return content


class ModelFigures(Scored):
    """How well one model does on the test rows.

    Of one target with classes, judged by accuracy, the file has accuracy, macro_f1, ece and
    worst_class; of any other task score and targets.
    """

    accuracy: LeftOut[float] = None
    """Share of the test rows whose most probable class is the label, 0 to 1."""

    accuracy_interval: LeftOut[Interval] = None
    """The middle 95 % of the accuracy over resamples of the test rows: [low, high]."""

    macro_f1: LeftOut[float] = None
    """Unweighted mean of F1 over the classes that occur among the labels, 0 to 1."""

    ece: LeftOut[float] = None
    """Expected calibration error, 0 (perfect) to 1 (Guo et al. 2017)."""

    worst_class: LeftOut[ClassRecall] = None
    """Of the classes with test rows, the one with the lowest recall."""

    score: float = Field(default_factory=_accuracy)
    """The metric by which the models are judged, of several targets the weighted mean of theirs;
    left out where there is accuracy."""

    score_interval: Interval = Field(default_factory=_accuracy_interval)
    """The middle 95 % of the score over resamples of the test rows: [low, high]; left out where
    there is accuracy."""

    targets: LeftOut[Mapping[str, SerializeAsAny[TargetFigures]]] = None
    """By target; left out where there is accuracy."""

    def of_targets(self, figure: str) -> dict[str, Any]:
        """A figure such as `ece` of each target that has it, by target; of classes alone by ''."""
        if self.targets is None:
            found = {"": getattr(self, figure, None)}
        else:
            found = {name: getattr(one, figure, None) for name, one in self.targets.items()}
        return {name: value for name, value in found.items() if value is not None}


class ExportFacts(FigureSet):
    """Facts of a model from export_onnx's manifest."""

    architecture: str
    """Such as `cnn, 256 wide`."""

    parameters: int
    """Number of weights."""

    size_bytes: int
    """Of graph and tokenizer on disk."""

    max_length_tokens: int
    """Texts are cut after this number of tokens."""

    vocabulary_size: LeftOut[int] = None
    """Rows of the embedding table."""

    parity: LeftOut[Parity] = None
    """The float32 graph against PyTorch."""

    form: LeftOut[str] = None
    """Of the graph: `float32`, `static_int8`, `dynamic_int8`, `int8_embeddings`, ..."""

    against_float32: LeftOut[AgainstFloat32] = None
    """On validation rows; only of a smaller form."""


class ExportedFigures(ExportFacts, ModelFigures):
    """A model that export_onnx wrote: its quality, and its manifest."""

    label_agreement_with_float32: LeftOut[float] = None
    """Share of the test rows with the float32 graph's answer, 0 to 1, of several targets the mean;
    only of a smaller form that is measured beside it."""


class TeacherFigures(ExportedFigures):
    """The teacher in float32."""

    encoder: str
    """Such as `bert, 6 layers, 384 wide`."""


class StudentFigures(ExportedFigures):
    """The student, in the form that is registered."""

    retention: float | None
    """The student's score divided by its teacher's; null where the teacher's is not above 0."""

    retention_interval: Interval | None
    """The middle 95 % of the retention over resamples of the test rows: [low, high]."""

    missed_classes: LeftOut[tuple[MissedClass, ...]] = None
    """Classes with test rows of which it has none right, those with the most rows first."""


class TfidfFigures(ModelFigures):
    """The control of TF-IDF and a linear model, on the same labels."""

    c: LeftOut[float] = None
    """Inverse strength of the regularisation, chosen on the validation split."""

    features: int
    """Terms in its vocabulary: words and pairs of words; in scripts without blanks between words,
    such as Chinese, Japanese and Thai, one to three characters."""

    unspaced_share: LeftOut[float] = None
    """Share of the training texts' letters that are of such a script, 0 to 1; left out where none
    is."""

    validation_accuracy: LeftOut[float] = None
    """Share of the validation rows that it gets right with that `c`, 0 to 1."""

    fitted: LeftOut[Mapping[str, FittedControl]] = None
    """By target, what was fitted; left out where there is accuracy."""


class MajorityFigures(Scored):
    """The control that always answers the same."""

    accuracy: LeftOut[float] = None
    """Share of the test rows that have this label, 0 to 1."""

    label: LeftOut[str] = None
    """The most frequent one of the training split."""

    score: float = Field(default_factory=_accuracy)
    """The score of the best constant answers; left out where there is accuracy."""

    targets: LeftOut[Mapping[str, ConstantAnswer]] = None
    """By target, its best constant answer; left out where there is accuracy."""


class Controls(FigureSet):
    """What a student shall be better than."""

    undistilled: ExportedFigures
    """The student's architecture and start, trained on the labels alone."""

    tfidf: TfidfFigures
    """TF-IDF and logistic regression; one-vs-rest for several labels, ridge for numbers."""

    majority: MajorityFigures
    """Always the most frequent class, or the best constant answer."""

    teacher_int8: LeftOut[ExportedFigures] = None
    """The teacher, quantised; left out where export_onnx made none."""

    alone: LeftOut[Mapping[str, AloneFigures]] = None
    """Of several targets, by target, the student that was trained for it alone."""


class Difference(Scored):
    """The student's score minus another model's, on the same test rows."""

    accuracy: LeftOut[float] = None
    """As a share: 0.01 is one point."""

    score: float = Field(default_factory=_accuracy)
    """The difference of the scores; left out where there is accuracy."""

    interval: Interval
    """The middle 95 % over the same resamples for both models (paired bootstrap): [low, high]."""

    targets: LeftOut[Mapping[str, TargetDifference]] = None
    """By target, where there are several."""


class Method(FigureSet):
    """How the intervals and the calibration error were computed."""

    bootstrap_samples: int
    """Resamples of the test rows."""

    interval_level: float
    """Share of the resamples within an interval."""

    ece_bins: int
    """Bins of equal width over the confidence."""

    seed: int
    """Of the resamples, and of the texts that are timed."""


class SplitRows(FigureSet):
    """Rows per split."""

    train: int
    """Labelled rows to train on."""

    validation: int
    """Labelled rows to choose by."""

    test: int
    """Labelled rows that these figures are measured on."""

    unlabelled: int
    """Rows of the transfer set."""


class DataFigures(FigureSet):
    """The corpus."""

    task: str
    """The kind of the label, such as `single_label`; `several` where there are more targets."""

    metric: LeftOut[str] = None
    """By which the models are judged; `score`, the weighted mean, of several targets. Left out
    where it is accuracy."""

    targets: LeftOut[tuple[TargetFacts, ...]] = None
    """In the order of the models' outputs; left out of classes judged by accuracy."""

    text_column: str
    """Its name in the source."""

    label_column: str
    """Its name in the source."""

    labels: tuple[str, ...]
    """The classes, or a name per output, in the order of the models' outputs."""

    rows: SplitRows
    """How many rows each split has."""

    test_digest: str
    """SHA-256 of the test rows. Figures of two models compare where it is the same."""

    @property
    def score(self) -> ScoreText:
        """How scores are named and written."""
        if self.targets is None:
            return ScoreText(title="accuracy", is_share=True)
        if len(self.targets) == 1:
            return self.score_of(self.targets[0].name)
        return ScoreText(
            title="mean score", is_share=all(target.metric_is_share for target in self.targets)
        )

    def score_of(self, target: str) -> ScoreText:
        """The same of one target by its name."""
        (found,) = (one for one in self.targets or () if one.name == target)
        return ScoreText(title=found.metric_title, is_share=found.metric_is_share)


class QualityFigures(FigureSet):
    """Figures that depend on models and rows only: the content of quality.json."""

    teacher: TeacherFigures
    """The fine-tuned encoder that the student learned from."""

    student: StudentFigures
    """The model under test."""

    controls: Controls
    """Models that a student shall be better than."""

    differences: Mapping[str, Difference]
    """`student_minus_MODEL`: per other model."""

    method: Method
    """How the figures were computed."""

    data: DataFigures
    """The data that they were measured on."""

    student_float32: LeftOut[ExportedFigures] = None
    """The student before it was made smaller; left out where it was not."""

    def models(self) -> dict[str, ModelFigures]:
        """Those that were tested, by name, in the order of the tables."""
        found: dict[str, ModelFigures | None] = {
            "teacher": self.teacher,
            "teacher_int8": self.controls.teacher_int8,
            "student": self.student,
            "student_float32": self.student_float32,
            "undistilled": self.controls.undistilled,
            "tfidf": self.controls.tfidf,
        }
        return {name: model for name, model in found.items() if model is not None}
