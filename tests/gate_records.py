"""Fake records for the tests of the regression gate."""

from dataclasses import replace

from fake_results import fake_config, fake_record, fake_table, table_metrics, write_trial

SEEDS = range(4)
IMAGES = 40


def trial(seed, quality=0.86, *, arch="unet", **changes):
    """A record whose images are equally hard for all seeds, and its table."""
    config = fake_config(arch, None if arch == "unet" else "resnet50", seed)
    record, _ = fake_record(config)
    table = fake_table(config, quality, IMAGES)
    memory = {"peak_memory_mib": 1000.0 + seed, "method": "process RSS"}
    hashed = {"configuration": f"hash of {config.pair}"}
    return replace(record, **{"metrics": table_metrics(table), "memory": memory, **hashed, **changes}), table


def folder(path, trials):
    for record, table in trials:
        write_trial(path, record, table, samples=0)
    return path
