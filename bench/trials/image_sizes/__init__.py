"""Image sizes that are chosen within a limit of cost."""
