"""Verdicts of `bench verify`, kept beside the records that they are on."""
