"""BERT: the encoder, the teacher built on it, and its heads."""
