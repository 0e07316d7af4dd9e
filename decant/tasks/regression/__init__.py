"""Each text has a number: a rating, a similarity, a price."""
