"""Innkeeper: a self-hosted home for AI agents."""
