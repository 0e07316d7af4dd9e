"""A text column that gives its label away."""

from decant.runtime.reporter import Reporter
from decant.tables import Engine

_SHARE = 0.5  # of the rows
_TIMES = 3  # as often as the label of another row


def warn_of_labels_in_text(engine: Engine, reporter: Reporter) -> None:
    """Warn where most texts contain their own label, and seldom that of another row.

    A model would learn to read it there, and be useless where the text comes without.
    """
    ((rows, own, other),) = engine.all(
        """
        WITH labelled AS (
            SELECT lower(text) AS text, lower(live.label) AS label,
                lower(lag(live.label, 1, live.label) OVER shuffled) AS other
            FROM live JOIN rows USING (id) WHERE live.split = 'train'
            WINDOW shuffled AS (ORDER BY md5_number_lower('' || live.id))
        )
        SELECT count(*), count(*) FILTER (contains(text, label)),
            count(*) FILTER (other != label AND contains(text, other))
            / greatest(count(*) FILTER (other != label), 1) FROM labelled
        """
    )
    share = own / rows if rows else 0.0
    reporter.metric("label_in_text_share", share)
    if share >= _SHARE and share >= _TIMES * other:
        reporter.warning(
            f"{share:.0%} of the training texts contain their own label ({other:.0%} that of "
            "another row): a model would learn to read it there; check ingest.text_column"
        )
