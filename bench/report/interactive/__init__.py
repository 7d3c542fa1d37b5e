"""The page's script and what it reads to follow filter and limits as Python would, such as pairs of rows."""
