"""Budgets and configurations survive their own text."""

import pytest

from bench.core.errors import BenchError
from bench.core.specs import Budget
from bench.core.trial_config import TrialConfig


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("10m", 600, "seconds"),
        ("1.5h", 5400, "seconds"),
        ("2000steps", 2000, "steps"),
        ("1epoch", 1, "epochs"),
        ("100ksamples", 100_000, "images"),
        ("1000000steps", 1_000_000, "steps"),
        ("1234567ksamples", 1_234_567_000, "images"),
        ("123.4567s", 123.4567, "seconds"),
        ("0.00001s", 0.00001, "seconds"),
    ],
)
def test_a_budget_is_read_and_written_without_loss(text, amount, unit):
    budget = Budget.parse(text)
    assert budget == Budget(amount, unit)
    assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize("text", ["5", "10parsecs", "0s", "", "-1m", "m", "1e3steps"])
def test_a_bad_budget_says_what_is_accepted(text):
    with pytest.raises(BenchError, match="10m, 90s, 2h, 2000steps"):
        Budget.parse(text)


def test_a_configuration_survives_its_dictionary():
    config = TrialConfig("unet", "pets", params={"filters": [8, 16]}, budget=Budget(1e6, "steps"), image_size=(64, 96))
    assert TrialConfig.from_dict(config.to_dict()) == config
