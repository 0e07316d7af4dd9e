"""A study: one factor at a time around the default, measured against every control."""
