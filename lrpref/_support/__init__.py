"""Helpers that are not about LRP: atomic file writes, parameters as text, optional libraries, progress, budgets."""
