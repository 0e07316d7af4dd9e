"""The checks of `decant doctor`, a subject per file."""
