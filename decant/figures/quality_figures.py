"""How good the models are: the content of quality.json, and the first part of metrics.json."""

from collections.abc import Mapping

from decant.figures.figure_set import FigureSet, Interval, LeftOut


class Parity(FigureSet):
    """The exported float32 graph against its PyTorch model, on validation rows."""

    rows: int
    """Validation rows that were compared."""

    max_logit_difference: float
    """The largest absolute difference of a logit."""

    label_agreement: float
    """Share of the rows with the same label, 0 to 1."""


class AgainstFloat32(FigureSet):
    """A smaller form against the float32 graph that it was made of, on validation rows."""

    rows: int
    """Validation rows that were compared."""

    accuracy: float
    """Share of the rows that the smaller form gets right, 0 to 1."""

    float32_accuracy: float
    """Share of the rows that the float32 graph gets right, 0 to 1."""

    label_agreement: float
    """Share of the rows with the same label, 0 to 1."""


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

    label: str
    """The class."""

    test_rows: int
    """Test rows with this label."""

    teacher_right: int
    """Of these, those that its teacher has right: 0 where it misses the class too."""


class ModelFigures(FigureSet):
    """How well one model does on the test rows."""

    accuracy: float
    """Share of the test rows whose most probable class is the label, 0 to 1."""

    accuracy_interval: Interval
    """The middle 95 % of the accuracy over resamples of the test rows: [low, high]."""

    macro_f1: float
    """Unweighted mean of F1 over the classes that occur among the labels, 0 to 1."""

    ece: float
    """Expected calibration error, 0 (perfect) to 1 (Guo et al. 2017)."""

    worst_class: LeftOut[ClassRecall] = None
    """Of the classes with test rows, the one with the lowest recall."""


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
    """Share of the test rows with the float32 graph's label, 0 to 1; only of a smaller form that
    is measured beside it."""


class TeacherFigures(ExportedFigures):
    """The teacher in float32."""

    encoder: str
    """Such as `bert, 6 layers, 384 wide`."""


class StudentFigures(ExportedFigures):
    """The student, in the form that is registered."""

    retention: float | None
    """The student's accuracy divided by its teacher's; null where the teacher's is 0."""

    retention_interval: Interval | None
    """The middle 95 % of the retention over resamples of the test rows: [low, high]."""

    missed_classes: LeftOut[tuple[MissedClass, ...]] = None
    """Classes with test rows of which it has none right, those with the most rows first."""


class TfidfFigures(ModelFigures):
    """The control TF-IDF + logistic regression, on the same labels."""

    c: float
    """Inverse strength of the regularisation, chosen on the validation split."""

    features: int
    """Terms in its vocabulary: words and pairs of words; in scripts without blanks between words,
    such as Chinese, Japanese and Thai, one to three characters."""

    unspaced_share: LeftOut[float] = None
    """Share of the training texts' letters that are of such a script, 0 to 1; left out where none
    is."""

    validation_accuracy: float
    """Share of the validation rows that it gets right with that `c`, 0 to 1."""


class MajorityFigures(FigureSet):
    """The control that always answers one class."""

    accuracy: float
    """Share of the test rows that have this label, 0 to 1."""

    label: str
    """The most frequent one of the training split."""


class Controls(FigureSet):
    """What a student shall be better than."""

    undistilled: ExportedFigures
    """The student's architecture and start, trained on the labels alone."""

    tfidf: TfidfFigures
    """TF-IDF + logistic regression."""

    majority: MajorityFigures
    """Always the most frequent class."""

    teacher_int8: LeftOut[ExportedFigures] = None
    """The teacher, quantised; left out where export_onnx made none."""


class Difference(FigureSet):
    """The student's accuracy minus another model's, on the same test rows."""

    accuracy: float
    """As a share: 0.01 is one point."""

    interval: Interval
    """The middle 95 % over the same resamples for both models (paired bootstrap): [low, high]."""


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
    """The kind of label, such as `single_label`."""

    text_column: str
    """Its name in the source."""

    label_column: str
    """Its name in the source."""

    labels: tuple[str, ...]
    """The classes, in the order of the models' outputs."""

    rows: SplitRows
    """How many rows each split has."""

    test_digest: str
    """SHA-256 of the test rows. Figures of two models compare where it is the same."""


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
