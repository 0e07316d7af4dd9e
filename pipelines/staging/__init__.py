"""Data and encoders of this machine: where the pods read them, and how they get there."""
