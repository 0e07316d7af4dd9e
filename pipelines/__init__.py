"""The pipeline as a whole: its graph, and the commands that compile, run and use it."""
