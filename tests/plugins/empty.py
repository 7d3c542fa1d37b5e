"""A plug-in that defines nothing."""
