"""Costs measured side by side, each file a command."""
