"""A shadow in a process of its own: it may be slow, fail or die, and no request waits for it or notices."""
