"""Measure time: awaited calls and blocks of steps, every timing kept in a table, a trial's seconds by phase."""
