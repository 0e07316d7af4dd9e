"""How teacher and student are trained."""
