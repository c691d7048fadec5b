"""Answers over HTTP with the staged model, and holds the answers against the batch predictions."""
