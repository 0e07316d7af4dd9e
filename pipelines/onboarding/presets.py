"""Parameter files that are shipped: what a kind of run changes."""

from pathlib import Path

QUICK = Path(__file__).with_name("quick.yaml")
