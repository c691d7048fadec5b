"""The report: one page of HTML for a job and a period, with its plots inside, made from figures alone."""
