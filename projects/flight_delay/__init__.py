"""Flight delay: how likely is a flight out of New York to arrive more than 15 minutes late."""
