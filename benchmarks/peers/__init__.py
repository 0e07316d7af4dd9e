"""The student beside its teacher and beside what else one would take for texts, in one run."""
