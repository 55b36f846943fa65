"""Helpers that are not about LRP: file writes, bounds on files, parameters as text, optional libraries, budgets."""
