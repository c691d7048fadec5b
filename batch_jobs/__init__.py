"""Scores partitions of S3 data, exactly once. Knows nothing of training or web servers."""
