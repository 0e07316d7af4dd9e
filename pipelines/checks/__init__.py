"""What `python -m pipelines doctor` looks at, a subject per file."""
