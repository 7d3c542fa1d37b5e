"""The predictions of trials: kept beside their scores, and scored again without a model."""
