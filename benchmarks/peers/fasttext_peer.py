"""fastText's supervised model on the same labelled rows."""

import json
import tempfile
from itertools import product
from pathlib import Path

from benchmarks.peers.peer import Answer, Run
from benchmarks.peers.tfidf import words

_MODEL, _LABELS, _PREFIX = "model.bin", "labels.json", "__label__"
# Words and pairs of words, as TF-IDF has them. The library's two million buckets for pairs would
# make a file of 800 MB, for 20,000 terms in a thousand short texts.
_SETTINGS = {"wordNgrams": 2, "dim": 100, "bucket": 50_000, "minCount": 1}
_RATES, _EPOCHS = (0.1, 0.5, 1.0), (5, 25, 50)


class FastText:
    """Learning rate and epochs are chosen on validation rows, as the linear models' C is."""

    def prepare(self, run: Run, folder: Path) -> None:
        import fasttext

        from components.evaluate.labelled_rows import read_labelled
        from decant.tasks.labels import UNKNOWN

        corpus, task = run.folder / "corpus", run.task
        train, held_out = (read_labelled(corpus, split, task) for split in ("train", "validation"))
        texts = [words(text) for text in held_out.texts]
        best, reached = None, -1
        with tempfile.TemporaryDirectory(prefix="decant-peers-") as scratch:
            file = Path(scratch) / "train.txt"
            lines = zip(train.labels, train.texts, strict=True)
            known = [(label, words(text)) for label, text in lines if label != UNKNOWN]
            file.write_text("".join(f"{_PREFIX}{one} {text}\n" for one, text in known), "utf-8")
            for rate, epochs in product(_RATES, _EPOCHS):
                model = fasttext.train_supervised(
                    input=str(file),
                    lr=rate,
                    epoch=epochs,
                    seed=run.seed,
                    thread=1,  # with more it is another model each time
                    verbose=0,
                    **_SETTINGS,
                )
                found = [_class(label) for (label,) in model.predict(texts)[0]]
                right = int((held_out.labels == found).sum())
                if right > reached:
                    best, reached = model, right
        folder.mkdir()
        assert best is not None  # the grid has values
        best.save_model(str(folder / _MODEL))
        (folder / _LABELS).write_text(json.dumps(run.labels), "utf-8")

    def open(self, folder: Path, threads: int) -> Answer:
        import fasttext

        model = fasttext.load_model(str(folder / _MODEL))
        labels = json.loads((folder / _LABELS).read_text("utf-8"))

        def answer(texts: list[str]) -> list[str]:
            found = model.predict([words(text) for text in texts])[0]
            return [labels[_class(label)] for (label,) in found]

        return answer


def _class(label: str) -> int:
    return int(label.removeprefix(_PREFIX))
