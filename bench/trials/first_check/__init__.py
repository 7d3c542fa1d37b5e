"""Check an architecture and a data set before their first trial: labels, outputs, gradients, one batch to overfit."""
