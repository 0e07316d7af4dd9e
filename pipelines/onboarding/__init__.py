"""`decant init`: from your own file to the parameters that fit it."""
