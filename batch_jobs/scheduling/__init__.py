"""When days are scored: what is due, and a clock that knows the moments of all jobs."""
