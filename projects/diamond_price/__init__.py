"""A project of another kind: a number for rows that know no time."""
