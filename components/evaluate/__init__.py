"""Compare the exported models with each other and with controls."""
