"""Each text has one of several classes."""
