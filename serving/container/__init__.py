"""Writes what a container engine builds an image of one model version from. It runs no such engine."""
