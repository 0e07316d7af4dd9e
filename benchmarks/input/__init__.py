"""Rows per second and peak memory of ingest and tokenize, beside the engines that they stand on."""
