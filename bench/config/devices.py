"""Check the options of a trial over several devices."""

from bench.core.backends import TABLE
from bench.core.errors import BenchError
from bench.core.trial_config import OPTIONS, TrialConfig


def check_devices(config: TrialConfig) -> None:
    """Check that the backend can divide the trial's batches among so many devices, and each batch evenly."""
    count = config.devices_per_trial
    if count == 1:
        return
    able = [row.name for row in TABLE.values() if row.parallel]
    if config.backend not in able:
        raise BenchError(
            f"--devices-per-trial {count} does not run with the backend {config.backend}. Use --backend "
            f"{' or '.join(able)}, or one device."
        )
    if config.jit == TABLE[config.backend].parallel_but:
        raise BenchError(
            f"--devices-per-trial {count} does not run with --jit {config.jit} on {config.backend}. Leave out --jit."
        )
    for name in TABLE[config.backend].parallel_without:
        if getattr(config, name) != OPTIONS[name].default:
            raise BenchError(
                f"{OPTIONS[name].flag} does not run with --devices-per-trial {count} on {config.backend}, whose "
                "optimizer sees the gradients of each device alone. Use --backend jax, or one device."
            )
    if config.batch_size % count:
        raise BenchError(
            f"--batch-size is {config.batch_size}, which {count} devices (--devices-per-trial) can't divide evenly. "
            f"Accepted: a multiple of {count}, such as {(config.batch_size // count + 1) * count}."
        )
