"""Search by the memory that training needs, which is measured on a few steps of each size, in a process of its own.

It is the memory of the whole process, `process_peak_mib`, at the trial's batch size: without evaluation. The results
folder keeps what was measured (bench/results/sizes/kept_memory.py). Measurements of one size differ by a few per cent,
so a size is taken only if it is MARGIN below the limit, and sides are sought to within a FINE-th.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.trial_config import DEFAULTS, OPTIONS, TrialConfig
from bench.profiling.environment import cpu_device, expected_device, several
from bench.results.sizes import kept_memory
from bench.results.sizes.kept_memory import Needed
from bench.results.software import software_now
from bench.trials import batch_search
from bench.trials.batch_search import AboveLimit, DoesNotTrain
from bench.trials.image_sizes.size_search import SizeSearch
from bench.trials.local_process import LocalExecutor
from bench.trials.scheduling.slots import Slot
from bench.trials.trained_input.stored_values import with_bands_of_data

MARGIN = 0.02  # of the limit
FINE = 32
_FEW = 5  # sizes after which the middle is tried, as the memory follows no law
_OTHER = ("dataset", "train_fraction", "train_limit", "pack", "freeze_encoder", "unfreeze_from")
_TELLING = tuple(name for name, option in OPTIONS.items() if option.step_time and name not in _OTHER)
"""The fields on which the memory depends, besides the data set's classes."""


@dataclass(frozen=True)
class Place:
    """The place where memory is measured and kept."""

    results: Path
    device: str  # as the records of its trials name it
    variables: Mapping[str, str] = field(default_factory=dict)  # of the environment, which name the device
    on_cpu: bool = True
    measure: bool = True  # False: only what is kept counts


def place_of(results: Path, slots: Sequence[Slot], *, measure: bool = True) -> Place:
    """Return the place of trials that run in slots of this machine, which are all of one type of device."""
    slot = slots[0]
    variables = slot.executor.variables if isinstance(slot.executor, LocalExecutor) else {}
    return Place(results, slot.device, variables, on_cpu=expected_device() == cpu_device(), measure=measure)


class MeasuredSize(SizeSearch):
    """The search by memory."""

    @property
    def fits(self) -> float:
        return self.most_cost * (1 - MARGIN)

    @property
    def near_enough(self) -> int:
        return max(1, self.within // FINE)

    def first_side(self) -> int:
        """Return a small side: one that is too large may take long."""
        return 128

    def guesses(self) -> list[int]:
        """Try the smallest size if the first is too large, else twice the side; then bisect, or follow the line."""
        known = {one: cost for one, cost in self.costs.items() if math.isfinite(cost)}
        if self.within < self.least:
            return [self.least]
        if len(self.costs) == 1:
            return [self.inside(2 * self.within)]
        guess = self._on_line(known) if len(known) > 1 and len(self.costs) < _FEW else 0
        return [guess if self.within < guess < self.beyond else self._middle()]

    def _on_line(self, known: Mapping[int, float]) -> int:
        """Return where the line of memory over the square of the side, through two known costs, reaches the limit."""
        a = min(known)  # not the two nearest to the limit, between which noise decides
        b = min(known.keys() - {a}, key=lambda one: abs(known[one] - self.fits))
        low, high = known[a], known[b]
        slope = (high - low) / (b * b - a * a)
        return math.isqrt(max(0, int(a * a + (self.fits - low) / slope))) if slope > 0 else 0

    def _middle(self) -> int:
        """Return a multiple between the two ends; far from the largest that is possible, the double of the lower."""
        return self.inside(min((self.within + self.beyond) // 2, 2 * self.within))


def measure(search: MeasuredSize, place: Place, tell: Callable[[str], None]) -> bool:
    """Find a model's size; return False if that takes a measurement and `place` allows none.

    Args:
        tell: gets a line for each measurement, and one for the size.
    """
    while asked := search.to_find():
        (one,) = asked
        needed = _kept(search.at(one), search.fits, place)
        if needed is None and not place.measure:
            tell(_to_come(search, one))
            return False
        try:
            needed = needed or _measured(search, one, place, tell)
        except (DoesNotTrain, BenchError) as error:
            if str(error) == batch_search.OUT_OF_MEMORY:
                search.costs[one] = math.inf
                tell(
                    f"{search.config.pair} at {search.size(one)}: {error} on this machine, so it is taken as too large."
                )
            else:
                search.reason = f"at {search.size(one)}, {error}"
            continue
        search.costs[one] = needed.mib if needed.exact else math.inf
    tell(search.line())
    return True


def _to_come(search: MeasuredSize, one: int) -> str:
    known = "; ".join(f"{search.size(m)}: {search.limit.cost(c)}" for m, c in search.costs.items() if math.isfinite(c))
    return (
        f"{search.config.pair} within {search.limit.text(search.most_cost)}: its size isn't known yet"
        f"{f' ({known})' * bool(known)}. The run measures the memory of training at {search.size(one)} next, and at "
        "more sizes until the largest is found: a process and a few steps each. Its trials aren't counted here."
    )


def _kept(config: TrialConfig, fits: float, place: Place) -> Needed | None:
    """Return what is kept, if it tells whether the size fits."""
    found = kept_memory.find(place.results, memory_question(config, several(place.device, config.devices_per_trial)))
    return found if found and (found.exact or found.mib >= fits) else None


def _measured(search: MeasuredSize, one: int, place: Place, tell: Callable[[str], None]) -> Needed:
    """Measure what training needs at a size, and keep it.

    Raises:
        BenchError, DoesNotTrain: it can't be measured.
    """
    config = search.at(one)
    try:
        found = batch_search.try_training(
            config, most_mib=search.fits if place.on_cpu else None, variables=place.variables, echo=False
        )
    except AboveLimit:
        needed = Needed(search.fits, exact=False, method="ended when it needed more")
    else:
        if found.process is None:
            raise BenchError(f"the memory of a process can't be measured ({found.method})")
        needed = Needed(found.process, method=found.method)
    question = memory_question(config, several(place.device, config.devices_per_trial))
    needed = kept_memory.keep(place.results, question, json.loads(question), needed)
    more = "" if needed.exact else "more than "
    tell(f"{config.pair} at {search.size(one)}: training needs {more}{needed.mib:,.0f} MiB.")
    return needed


def memory_question(config: TrialConfig, device: str = "") -> str:
    """Write all that the memory of training depends on; without defaults, so that a later option changes no answer."""
    config = with_bands_of_data(config)
    values, defaults = config.to_dict(), DEFAULTS.to_dict()
    asked: dict[str, Any] = {name: values[name] for name in _TELLING if values[name] != defaults[name]}
    asked |= {"classes": catalog.dataset(config).num_classes, "bands": config.bands, "device": device}
    asked |= {"code": catalog.source_hash(config), "software": software_now(config.backend)}
    return json.dumps(asked, sort_keys=True)
