"""Give a model the moving average of its weights, where its optimizer keeps one, and its own weights back."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.training.engines.engine import Engine, to_numpy
from bench.training.optimizer import inner


def take_average(engine: Engine) -> None:
    """Replace the weights by their moving average; do nothing where the optimizer keeps none, or has none yet."""
    optimizer = inner(engine.optimizer)
    if not optimizer.use_ema:
        return
    engine.pull()
    if not int(to_numpy(optimizer.iterations)):  # each step overflowed in float16 and was skipped
        return
    averages = optimizer._model_variables_moving_average
    for variable, average in zip(optimizer._trainable_variables, averages, strict=True):
        variable.assign(average)
    engine.push()


@contextmanager
def averaged(engine: Engine) -> Iterator[None]:
    """Let the model have the averaged weights inside the context. Moving statistics stay as they are at its end."""
    optimizer = inner(engine.optimizer)
    if not optimizer.use_ema:
        yield
        return
    engine.pull()
    own = [to_numpy(variable) for variable in optimizer._trainable_variables]
    take_average(engine)
    yield
    engine.pull()
    for variable, value in zip(optimizer._trainable_variables, own, strict=True):
        variable.assign(value)
    engine.push()
