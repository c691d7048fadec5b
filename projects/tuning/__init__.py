"""Tuning: parameters are searched on rows of training, and a search that was killed goes on."""
