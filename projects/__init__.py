"""Turns data into logged, validated model versions. Knows nothing of jobs or web servers.

`projects/NAME/` is one model project: `project.yaml`, its declaration, and `dataset.py`, its data.
"""
