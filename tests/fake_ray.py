"""Ray in this process: each call of a task or actor is made at once, with what is sent and returned pickled."""

import pickle
import sys
from types import ModuleType, SimpleNamespace


class Ref:
    def __init__(self, call):
        self.ready = True
        try:
            self.value = pickle.loads(pickle.dumps(call()))
        except FakeRay.exceptions.RayError as error:
            self.value = error
        except Exception as error:  # noqa: BLE001 - as Ray does
            self.value = FakeRay.exceptions.RayError(f"{type(error).__name__}: {error}")


class Remote:
    """A task or an actor's class with its options."""

    def __init__(self, ray, target, options=None):
        self.ray, self.target, self.given = ray, target, options or {}

    def options(self, **options):
        return Remote(self.ray, self.target, options)

    def remote(self, *args):
        node = self.given["scheduling_strategy"].node_id
        self.ray.asked.append((self.target.__name__, node, self.given))
        if not isinstance(self.target, type):
            return Ref(lambda: self.ray.answers.get((self.target.__name__, node), self.target)(*args))
        return Actor(self.ray, self.target(*args))


class Actor:
    def __init__(self, ray, inner):
        self.ray, self.inner, self.dead = ray, inner, ""

    def __getattr__(self, name):
        return SimpleNamespace(remote=lambda *args: Ref(lambda: self.call(name, pickle.loads(pickle.dumps(args)))))

    def call(self, name, args):
        if self.dead:
            raise RuntimeError(self.dead)
        return getattr(self.inner, name)(*args)


class FakeRay(ModuleType):
    exceptions = SimpleNamespace(RayError=type("RayError", (Exception,), {}))
    exceptions.WorkerCrashedError = type("WorkerCrashedError", (exceptions.RayError,), {})
    exceptions.OutOfMemoryError = type("OutOfMemoryError", (exceptions.RayError,), {})

    def __init__(self, monkeypatch, nodes):
        super().__init__("ray")
        self.asked, self.killed, self.cluster = [], [], nodes
        self.answers = {}  # what stands for a function on a node
        strategies = ModuleType("ray.util.scheduling_strategies")
        strategies.NodeAffinitySchedulingStrategy = lambda node, soft: SimpleNamespace(node_id=node, soft=soft)
        for name, module in (("ray", self), ("ray.util", ModuleType("ray.util")), (strategies.__name__, strategies)):
            monkeypatch.setitem(sys.modules, name, module)

    def remote(self, target):
        return Remote(self, target)

    def nodes(self):
        return self.cluster

    def wait(self, refs, timeout):
        return ([ref for ref in refs if ref.ready], [])

    def get(self, ref):
        if isinstance(ref.value, Exception):
            raise ref.value
        return ref.value

    def kill(self, actor):
        self.killed.append(actor)


def node(name, **resources):
    return {"NodeID": name, "Alive": True, "NodeManagerHostname": name, "Resources": resources}
