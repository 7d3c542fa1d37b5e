"""Show the trials of a run in TensorBoard, MLflow and Weights & Biases while they run; trials know nothing of it."""
