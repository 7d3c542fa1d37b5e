"""Code that isn't segbench's own: find it, hash it, import it."""
