"""Says whether what was predicted came true, and whether the rows still look like those of training.

Reads predictions, outcomes, and the training rows that a version's run names. Knows nothing of how a day is
scored, nor of the endpoint beyond the tables that it leaves.
"""
