"""The workers of a Ray cluster: the slots of its nodes, which come once a node is ready and go when it is lost."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.core.errors import BenchError, first_few
from bench.core.trial_config import TrialConfig
from bench.trials.cluster.on_node import describe, prepare, software_here
from bench.trials.cluster.remote_trial import RayExecutor, cause_of
from bench.trials.local_process import REFUSED
from bench.trials.plan import PlannedTrial, data_of
from bench.trials.scheduling.slots import Slot

ANSWER_SECONDS = 120.0  # for the nodes that are there at first to say what they are
LOOK_SECONDS = 1.0  # between two looks at the cluster
PATIENCE_SECONDS = 5.0  # before a word is said about a node that prepares data
MOST_LOSSES = 5  # of a node in a run
A_TASK = 0.01  # of a GPU, for a task that only looks at it


@dataclass
class Node:
    """A node of the cluster and what is known of it."""

    id: str
    name: str
    cpus: int
    gpus: int
    answer: Any = None  # for which it is being waited, if any
    asked: tuple[str, ...] = ()  # what it was asked to prepare
    patience: float = math.inf  # until when (monotonic) that is no matter for a line
    slots: list[Slot] = field(default_factory=list)  # once it has said what it is
    data: frozenset[str] = frozenset()  # that it is known to have
    losses: int = 0  # trials that were lost there
    out: str = ""  # why it gets no trials


class Workers:
    """The nodes of the cluster that this process is connected to; a `Pool` of slots.

    Where a node has GPUs, trials run on GPUs only: one on each, or on as many as a trial needs.

    Raises:
        BenchError: no node can be used.
    """

    def __init__(self, configs: Sequence[TrialConfig]):
        self._backends = sorted({config.backend for config in configs})
        self._each = max((config.devices_per_trial for config in configs), default=1)
        self._nodes: dict[str, Node] = {}
        self._requests: dict[str, dict[str, Any]] = {}  # by what is to be prepared
        self._fingerprints: dict[str, str] = {}
        self._given: set[str] = set()  # nodes whose slots the run has
        self._away: list[Slot] = []  # whose trial was lost, until its node is looked at again
        self._looked = 0.0
        self._notes: list[str] = []  # lines that nobody was told yet
        self._tell = self._notes.append
        self._look()
        self._until(lambda: not any(node.answer for node in self._nodes.values()), ANSWER_SECONDS)
        if not self.slots:
            why = "; ".join(f"{node.name}: {node.out or 'no answer'}" for node in self._nodes.values())
            raise BenchError(f"No node of the Ray cluster can run trials ({why}).")

    @property
    def slots(self) -> list[Slot]:
        """The slots of all nodes that can be used."""
        return [slot for node in self._nodes.values() if not node.out for slot in node.slots]

    @property
    def most_on_a_node(self) -> int:
        """The largest number of trials that run on a node at once."""
        return max(len(node.slots) for node in self._nodes.values())

    def need(self, trials: Iterable[PlannedTrial], tell: Callable[[str], None]) -> None:
        """Have the data of these trials prepared on each node before that gets a trial.

        Args:
            tell: called with a line for each node that gets none.
        """
        self._tell = tell
        while self._notes:
            tell(self._notes.pop(0))
        self._requests, self._fingerprints, self._given, self._away = {}, {}, set(), []
        for trial in trials:
            config = trial.config
            key = repr((data_of(config), config.measure, config.weights == "imagenet" and config.backbone))
            self._requests.setdefault(key, {"config": config.to_dict(), "code": dict(trial.code)})
            self._fingerprints[key] = trial.fingerprint

    def more(self) -> list[Slot]:
        """Return the slots that have become ready since the last call."""
        if time.monotonic() - self._looked < LOOK_SECONDS and self._given:
            return []
        self._look()
        ready = [node for node in self._nodes.values() if node.slots and not node.out and not node.answer]
        again = [slot for slot in self._away if any(slot in node.slots for node in ready)]
        self._away = []
        for node in ready:
            if node.id not in self._given:
                self._given.add(node.id)
                again += node.slots
        return list(dict.fromkeys(again))

    def lost(self, slot: Slot, status: str, reason: str) -> None:
        """Take a slot back whose trial did not end; it is given again if its node is there and didn't refuse."""
        self._away.append(slot)
        node = next(node for node in self._nodes.values() if slot in node.slots)
        node.losses += 1
        if status == REFUSED:
            self._take_out(node, f"refused a trial: {reason}")
        elif node.losses == MOST_LOSSES:
            self._take_out(node, f"has lost {MOST_LOSSES} trials")

    def expects(self) -> bool:
        """Tell whether slots may come soon."""
        return any(node.answer for node in self._nodes.values())

    def why_none(self) -> str:
        """Say which nodes there were."""
        return first_few(f"{node.name} {node.out or 'has another type of device'}" for node in self._nodes.values())

    def _until(self, done: Any, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not done() and time.monotonic() < end:
            time.sleep(0.1)
            self._look()

    def _look(self) -> None:
        """Take note of nodes that have come or gone and of their answers, and ask for what is missing."""
        import ray

        self._looked = time.monotonic()
        alive = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
        gpus = any(node["Resources"].get("GPU") for node in alive.values())
        for key, found in alive.items():
            if key not in self._nodes:
                self._nodes[key] = self._new(key, found, gpus)
        for key, node in self._nodes.items():
            if key not in alive and not node.out:
                self._take_out(node, "is gone")
            if node.answer and ray.wait([node.answer], timeout=0)[0]:
                self._take(node)
            if node.answer and time.monotonic() > node.patience:
                node.patience = math.inf
                self._tell(f"{node.name} prepares its data.")
            if node.out or node.answer:
                continue
            if not node.slots:
                node.answer = self._ask(node, describe, self._backends, gpus=A_TASK if node.gpus else 0)
            elif not node.data >= self._requests.keys():
                node.asked, node.patience = tuple(self._requests), time.monotonic() + PATIENCE_SECONDS
                node.answer = self._ask(node, prepare, list(self._requests.values()))

    def _new(self, key: str, found: dict[str, Any], gpus: bool) -> Node:
        name = str(found.get("NodeManagerHostname") or found["NodeManagerAddress"])
        amounts = {what: int(found["Resources"].get(what, 0)) for what in ("CPU", "GPU")}
        node = Node(key, f"node {name} ({key[:6]})", amounts["CPU"], amounts["GPU"])
        if gpus and not node.gpus:
            node.out = "has no GPU, and others have"
        elif node.gpus and node.gpus < self._each:
            self._take_out(node, f"has {node.gpus} GPUs, and a trial needs {self._each}")
        elif not node.gpus and not node.cpus:
            node.out = "has no CPU for Ray"
        return node

    def _ask(self, node: Node, function: Any, argument: Any, gpus: float = 0) -> Any:
        """Have a node call a function that takes no part of its devices."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(node.id, soft=False)
        options = {"num_cpus": 0, "num_gpus": gpus, "max_retries": 0}  # Ray would retry without end where memory is low
        return ray.remote(function).options(**options, scheduling_strategy=there).remote(argument)

    def _take(self, node: Node) -> None:
        """Take a node's answer: what it is, or what it has prepared."""
        import ray

        answer, node.answer = node.answer, None
        try:
            found = ray.get(answer)
        except ray.exceptions.RayError as error:
            node.losses += 1
            killed = isinstance(error, (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError))
            if not killed or node.losses >= MOST_LOSSES:
                self._take_out(node, f"can't be used: {cause_of(error)}")
            return
        if node.slots:
            self._take_data(node, found)
        else:
            self._take_description(node, found)

    def _take_description(self, node: Node, found: dict[str, Any]) -> None:
        mine = software_here(self._backends)
        if other := [text for name, text in found["software"].items() if text != mine[name]]:
            here = [text for name, text in mine.items() if text != found["software"][name]]
            self._take_out(node, f"is refused: it has {', '.join(other)}, and this machine {', '.join(here)}")
            return
        count = max(1, node.gpus // self._each)
        gpus = self._each if node.gpus else 0
        for number in range(count):
            executor = RayExecutor(node.id, node.name, (number, count), node.cpus // count, gpus)
            node.slots.append(Slot(found["device"], executor, found["environment"]))

    def _take_data(self, node: Node, answers: Sequence[dict[str, Any]]) -> None:
        for name, answer in zip(node.asked, answers, strict=True):
            if "error" in answer:
                self._take_out(node, f"lacks data and can't prepare them: {answer['error']}")
            elif answer["fingerprint"] != self._fingerprints.get(name, answer["fingerprint"]):
                self._take_out(node, "has other files of a data set than this machine")
        node.data |= set(node.asked)

    def _take_out(self, node: Node, why: str) -> None:
        if not node.out:
            node.out = why
            self._tell(f"{node.name} {why}; it gets no trials.")
