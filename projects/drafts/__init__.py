"""Drafts: a whole project from the data alone, for people to review and go on from."""
