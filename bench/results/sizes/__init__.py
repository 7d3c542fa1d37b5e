"""Image sizes that were chosen within a limit of cost."""
