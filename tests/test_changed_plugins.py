"""A plug-in that was edited: the plan says which finished trials run again because of that."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fake_results import fake_config, fake_record

from bench.config import catalog
from bench.trials.forecasts.changed_plugins import changed_plugins
from bench.trials.identity import trial_key

PLUGIN = Path(__file__).parent / "plugins" / "small_net.py"


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "_plugins", {})
    return Path(shutil.copy(PLUGIN, tmp_path / "mine.py"))


def ended(config, status="ok"):
    record, _ = fake_record(config, status=status)
    return replace(record, key=trial_key(config, str(record.dataset["fingerprint"])))


def test_an_edit_is_said_once_for_all_trials_that_it_runs_again(plugin):
    configs = [
        catalog.resolve_config(
            fake_config("small_net", seed=seed, plugin=str(plugin), dataset="shapes", image_size=(32, 32))
        )
        for seed in range(4)
    ]
    statuses = ("ok", "diverged", "failed")  # the third runs again anyway, and the fourth is new
    records = [ended(*pair) for pair in zip(configs, statuses, strict=False)]
    assert changed_plugins(configs, records, {}) == []
    plugin.write_text(plugin.read_text() + "\n# edited\n")
    assert changed_plugins(configs, records, {}) == ["mine.py has changed since 2 finished trials; they run again."]
    assert changed_plugins(configs[:1], records, {}) == ["mine.py has changed since 1 finished trial; it runs again."]
    again = [ended(config) for config in configs[:2]]
    assert changed_plugins(configs, [*records, *again], {}) == []
    assert changed_plugins([replace(config, lr=0.5) for config in configs], records, {}) == []
