"""A plug-in that can't be imported."""

raise RuntimeError("no such thing as a free lunch")
