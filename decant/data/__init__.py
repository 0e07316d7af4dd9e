"""What steps hand each other about the texts: the corpus's splits and their token ids."""
