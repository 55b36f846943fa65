"""Shared helpers that are not about LRP: file writes, bounds on files, optional libraries, progress, time budgets."""
