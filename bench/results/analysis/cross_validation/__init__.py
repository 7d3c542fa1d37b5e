"""The uncertainty of configurations that were trained once for each fold of the images."""
