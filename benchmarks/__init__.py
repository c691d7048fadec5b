"""Benchmarks measure, side by side with what a user would pick instead; nothing else may depend on them."""
