"""Agreement with zennit: whole networks, every rule that both libraries define alike. See README.md."""
