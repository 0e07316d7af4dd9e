"""`decant init`: from a file of one's own to the parameters that fit it."""
