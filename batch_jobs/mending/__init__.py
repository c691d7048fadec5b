"""Rows that were set aside: given out to be mended, handed in again, and read in place of the bad ones."""
