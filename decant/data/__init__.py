"""The texts between steps: the corpus's splits and their token ids."""
