"""What is predicted: a task has one or more targets, each of a kind.

A kind is one folder here. Each of its files is for one audience of libraries, because a step's
identity and the code of a served model follow from imports:

spec.py       pydantic      its options, its metrics, how wide its encoded labels are
declared.py   pydantic      which of its parameters exclude each other
labels.py     pyarrow       its column in the corpus, and labels as numbers
losses.py     torch         the losses on labels and on a teacher's answers
scores.py     numpy         scores, whether two models agree, what is decided on validation rows
answers.py    numpy         what a person gets for a row of logits
guess.py      pandas        what columns may be its labels, for `decant init`
rows.py       duckdb        reading and checking its cells, strata for splits and budget
quality.py    scikit-learn  figures, tables and per-row statistics of the evaluation
control.py    scikit-learn  the cheap model that a student shall be better than
pictures.py   matplotlib    the pictures of the report
card.py       no library    what a model card says of it
comparison.py scipy         two models beside each other: intervals and tests, for promotions

Beside the folders, a file of the same name, such as losses.py, is what steps call: it goes through
the targets of a task and asks each one's kind. Nothing else knows which kinds there are.
"""
