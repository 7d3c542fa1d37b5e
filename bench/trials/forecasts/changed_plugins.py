"""Tell which trials run again only because the code of a plug-in has changed since they ended."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.core.specs import FINAL_STATUSES, TrialRecord
from bench.core.trial_config import DEFAULTS, OPTIONS, TrialConfig
from bench.trials.forecasts.evaluation_cost import Sizes, size_of
from bench.trials.identity import trial_key

_TELLING = tuple(name for name, option in OPTIONS.items() if option.in_key and not option.by_content)


def changed_plugins(configs: Iterable[TrialConfig], records: Sequence[TrialRecord], sizes: Sizes) -> list[str]:
    """Write a line for each plug-in of resolved configurations whose code isn't that of the finished trials."""
    changed: Counter[str] = Counter()
    for config in (config for config in configs if config.plugin):
        same = [record for record in records if record.status in FINAL_STATUSES and _is_of(config, record)]
        size = size_of(config, sizes, same)
        images = size.images if size else {}
        keys = [trial_key(config, _fingerprint(one), images, protocol=one.protocol_version) for one in same]
        if same and not any(key == one.key for key, one in zip(keys, same, strict=True)):
            changed[Path(str(config.plugin)).name] += 1
    return [
        f"{name} has changed since {count} finished trial{'s' * (count > 1)}; "
        f"{'they run' if count > 1 else 'it runs'} again."
        for name, count in changed.items()
    ]


def _is_of(config: TrialConfig, record: TrialRecord) -> bool:
    """Tell whether a record is of a configuration but for what counts by content."""
    wanted, found = config.to_dict(), {**DEFAULTS.to_dict(), **record.config}
    return bool(record.config.get("plugin")) and all(found[name] == wanted[name] for name in _TELLING)


def _fingerprint(record: TrialRecord) -> str:
    return str(record.dataset.get("fingerprint", ""))
