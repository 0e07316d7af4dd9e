"""Shipped parameter files: the changes of a kind of run."""

from pathlib import Path

QUICK = Path(__file__).with_name("quick.yaml")
