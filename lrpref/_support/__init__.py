"""Shared helpers that are not about LRP: atomic file writes, optional libraries, progress bars, time budgets."""
