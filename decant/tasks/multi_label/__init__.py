"""Each text has any number of labels, none included."""
