"""A text column that gives its label away."""

from collections.abc import Sequence

from decant.runtime.reporter import Reporter
from decant.tables import Engine
from decant.tasks.declared import Declared
from decant.tasks.rows import rows_of

_SHARE = 0.5  # of the rows
_TIMES = 3  # as often as the label of another row


def warn_of_labels_in_text(engine: Engine, targets: Sequence[Declared], reporter: Reporter) -> None:
    """Warn where most texts contain their own label, and seldom that of another row.

    A model would learn to read it there, and be useless where the text comes without.
    """
    for target in targets:
        kind, name = rows_of(target), target.sql
        differs = f"other != {name}"
        ((rows, own, other),) = engine.all(
            f"""
            WITH labelled AS (
                SELECT lower(text) AS text, live.{name},
                    lag(live.{name}, 1, live.{name}) OVER shuffled AS other
                FROM live JOIN rows USING (id)
                WHERE live.split = 'train' AND live.{name} IS NOT NULL
                WINDOW shuffled AS (ORDER BY md5_number_lower('' || live.id))
            )
            SELECT count(*), count(*) FILTER ({kind.mentions("text", name)}),
                count(*) FILTER ({differs} AND {kind.mentions("text", "other")})
                / greatest(count(*) FILTER ({differs}), 1) FROM labelled
            """
        )
        share = own / rows if rows else 0.0
        of, which = ("", "") if len(targets) == 1 else (f".{target.name}", f" of '{target.name}'")
        reporter.metric(f"label_in_text_share{of}", share)
        if share >= _SHARE and share >= _TIMES * other:
            reporter.warning(
                f"{share:.0%} of the training texts contain their own label{which} ({other:.0%} "
                "that of another row): a model would learn to read it there; check "
                "ingest.text_column"
            )
