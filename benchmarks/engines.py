"""Training speed of the engines against bare loops: prints JSON.

    python benchmarks/engines.py [--quick | --full]

- *bptui numpy*: the engine as the trainer drives it: a record of each loss in a ring, probes under their governor at
  the usual budget, as many threads as the trainer would give it. *bare* is the same without records and probes.
- *torch*: bare loops with pre-built tensors: autograd and ``torch.optim``, foreach and fused.
- *hand*: NumPy loops written out for this very network. ``plain`` is the usual one with buffers; ``tuned``
  also has the bias in the product, samples as columns and one flat vector of parameters.
- The loops with one thread and with all. A qualifying round times every one of them; the fastest of each kind with
  each number of threads, and those within a tenth of it, run in the final against ours, in turn, a second at a time.
  A budget's figure is the median over the rounds of the ratio of the two times of that round, of the rival
  that came closest.
- *sklearn*: epochs of ``MLPClassifier`` on digits and Fashion-MNIST against the engine's with the same network.
- *long run*: the whole program over 100,000 steps, whose last 10,000 must not be slower than its first.
"""

from __future__ import annotations

import argparse
import atexit
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.data import Batches, DataError, load
from bptui.engine import create, threads
from bptui.engine.base import Batch
from bptui.engine.numpy.blas import BLAS
from bptui.probe.measure import Probe
from bptui.runs.log import BlockKind, LogParser
from bptui.runs.ring import Ring
from bptui.spec.experiment import SGD, Adam, CrossEntropy, Data, Dense, Experiment

Step = Callable[[int], object]
Array = npt.NDArray[Any]
CORES = threads.cores()
ROWS, MOMENTUM, LR, ADAM_LR = 64, 0.9, 0.01, 0.001
PROBE_BUDGET = 0.03
#: A rival this much slower than the fastest of its kind in the qualifying round is not in the final.
CLOSE = 1.1


@dataclass(frozen=True)
class Case:
    """One network, one rule; the floors are the least speed-ups over bare loops, where there is a budget."""

    units: tuple[int, ...]
    rule: str
    """``sgd``, ``momentum`` or ``adam``."""
    torch_floor: float | None = None
    hand_floor: float | None = None

    @property
    def name(self) -> str:
        return f"{'-'.join(map(str, self.units))} {self.rule}"

    @property
    def lr(self) -> float:
        return ADAM_LR if self.rule == "adam" else LR

    @property
    def momentum(self) -> float:
        return MOMENTUM if self.rule == "momentum" else 0.0

    def batches(self) -> list[Batch]:
        draw = np.random.default_rng(0)
        return [
            Batch(draw.normal(size=(ROWS, self.units[0])).astype(np.float32), draw.integers(0, self.units[-1], ROWS))
            for _ in range(16)
        ]

    def experiment(self) -> Experiment:
        hidden = tuple(Dense(units=n, activation="relu") for n in self.units[1:-1])
        rule = Adam(lr=ADAM_LR) if self.rule == "adam" else SGD(lr=LR, momentum=self.momentum)
        model = (*hidden, Dense(units=self.units[-1]))
        return Experiment(data=Data(source="made"), model=model, loss=CrossEntropy(), optimizer=rule)


SMALL, LARGE = (20, 10, 10, 2), (784, 256, 128, 10)
CASES = (
    Case(SMALL, "sgd", 4.0),
    Case(SMALL, "adam", 4.0),
    Case(LARGE, "sgd", 1.7, 0.9),
    Case(LARGE, "momentum", 1.7, 0.9),
    Case(LARGE, "adam"),  # torch spreads its square roots and divisions over all cores, NumPy has one for them
)


class Contestant:
    """A loop that can be run for a while and goes on where it stopped."""

    def __init__(self, step: Step, thread_count: int) -> None:
        self.step, self.threads, self.done = step, thread_count, 0

    def run(self, seconds: float) -> float:
        """Seconds a step over about so many ``seconds``."""
        set_threads(self.threads)
        step, first = self.step, self.done
        started = now = time.perf_counter()
        while now - started < seconds:
            for i in range(self.done, self.done + 20):
                step(i)
            self.done += 20
            now = time.perf_counter()
        return (now - started) / (self.done - first)


class Probed(Contestant):
    """What the trainer's loop does: stretches of updates with one record each, and a watched update between them.

    The governor lives on from slice to slice, as one that trains without a stop.
    """

    #: Updates after which a stretch ends though no probe is due, as at the end of an epoch.
    EPOCH = 900

    def __init__(self, case: Case, batches: list[Batch]) -> None:
        super().__init__(lambda i: None, threads.fitting(threads.of_widths(case.units), ROWS, CORES))
        set_threads(self.threads)
        self._lr, self._batches = case.lr, batches
        self._engine = create(case.experiment(), case.units[0], case.units[-1], engine="numpy", dtype="f32", seed=0)
        self._ring = Ring.create(Path(tempfile.mkdtemp(prefix="bptui-bench-")) / "ring")
        atexit.register(shutil.rmtree, self._ring.path.parent, ignore_errors=True)
        self._probe = Probe(self._engine, self._ring, PROBE_BUDGET, batches)
        self._watched(everything=True)  # code is warm when a run begins
        self._probe.governor.forget()
        self.run(0.5)  # and the first tables and histograms of a run are spread over a run, not over a slice

    def run(self, seconds: float) -> float:
        set_threads(self.threads)
        governor, first = self._probe.governor, self.done
        started = now = time.perf_counter()
        governor.begin(started)
        while now - started < seconds:
            if self.done >= governor.next_step():
                self._watched()
            else:
                self._stretch(min(governor.next_step(), self.done + self.EPOCH))
            now = time.perf_counter()
        governor.end(now)
        return (now - started) / (self.done - first)

    def _stretch(self, end: int) -> None:
        batches, count, step, lr = self._batches, len(self._batches), self.done, self._lr
        train_step, record, clock, flag = self._engine.train_step, self._ring.loss, time.time, self._ring.flag_view()
        first, started = step, time.perf_counter()
        while step < end:
            loss = train_step(batches[step % count], step, lr)
            record(step, loss, clock())
            step += 1
            if flag[0] or loss - loss != 0.0:
                break
        self._probe.governor.stepped((time.perf_counter() - started) / (step - first))
        self.done = step
        self._ring.advance(self._ring.head)  # a hub takes what has come

    def _watched(self, *, everything: bool = False) -> None:
        engine, step = self._engine, self.done
        self._probe.prepare(step, everything=everything)
        engine.watch(True)
        loss = engine.train_step(self._batches[step % len(self._batches)], step, self._lr)
        engine.watch(False)
        self._ring.loss(step, loss, time.time())
        self._probe.measure(step, everything=everything)
        self.done += 1

    def share(self) -> float:
        """What the probes took of the time."""
        return self._probe.governor.share(time.perf_counter())


def contestants(case: Case) -> dict[str, Contestant]:
    """Every loop of a case, by name and number of threads."""
    batches, ours = case.batches(), threads.fitting(threads.of_widths(case.units), ROWS, CORES)
    loops: dict[str, Contestant] = {
        "bptui numpy": Probed(case, batches),
        "bptui numpy bare": Contestant(engine_step(case, batches, "numpy"), ours),
    }
    # no BLAS splits the products of the small network
    for count in sorted({1, CORES}) if case.units == LARGE else (1,):
        loops[f"hand plain {count}"] = Contestant(hand_plain(case, batches), count)
        loops[f"hand tuned {count}"] = Contestant(hand_tuned(case, batches), count)
    if find_spec("torch") is None:
        return loops
    loops["bptui torch"] = Contestant(engine_step(case, batches, "torch"), ours)
    for count in sorted({1, CORES}):
        loops[f"torch foreach {count}"] = Contestant(torch_step(case, batches, "foreach"), count)
        loops[f"torch fused {count}"] = Contestant(torch_step(case, batches, "fused"), count)
    return loops


def engine_step(case: Case, batches: list[Batch], name: Any) -> Step:
    engine = create(case.experiment(), case.units[0], case.units[-1], engine=name, dtype="f32", seed=0)
    lr, count = case.lr, len(batches)
    return lambda i: engine.train_step(batches[i % count], i, lr)


def torch_step(case: Case, batches: list[Batch], kind: str) -> Step:
    import torch

    layers: list[torch.nn.Module] = []
    for inputs, units in zip(case.units, case.units[1:], strict=False):
        layers += [torch.nn.Linear(inputs, units), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    option: dict[str, Any] = {"foreach": True} if kind == "foreach" else {"fused": True}
    optimizer: torch.optim.Optimizer
    if case.rule == "adam":
        optimizer = torch.optim.Adam(model.parameters(), lr=ADAM_LR, **option)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=case.momentum, **option)
    data = [(torch.from_numpy(b.x.copy()), torch.from_numpy(b.y.copy())) for b in batches]
    count, criterion = len(data), torch.nn.functional.cross_entropy

    def step(i: int) -> object:
        x, y = data[i % count]
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss

    return step


def hand_plain(case: Case, batches: list[Batch]) -> Step:
    """The NumPy loop that one writes for a fixed network: rows are samples, buffers are kept, updates are in place."""
    draw = np.random.default_rng(1)
    shapes = list(zip(case.units, case.units[1:], strict=False))
    weights = [(draw.normal(size=s) * np.sqrt(2.0 / s[0])).astype(np.float32) for s in shapes]
    biases = [np.zeros(s[1], np.float32) for s in shapes]
    z = [np.empty((ROWS, s[1]), np.float32) for s in shapes]
    a = [np.empty_like(one) for one in z]
    d = [np.empty_like(one) for one in z]
    parameters = [p for pair in zip(weights, biases, strict=True) for p in pair]
    gradients = [np.empty_like(p) for p in parameters]
    update = hand_update(case.rule, list(zip(parameters, gradients, strict=True)))
    rows, last, count = np.arange(ROWS), len(shapes) - 1, len(batches)

    def step(i: int) -> object:
        x, y = batches[i % count].x, batches[i % count].y
        h: Any = x
        for k in range(last + 1):
            np.dot(h, weights[k], out=z[k])
            np.add(z[k], biases[k], out=z[k])
            h = np.maximum(z[k], 0, out=a[k]) if k < last else z[k]
        p = d[last]
        np.subtract(h, h.max(axis=1, keepdims=True), out=p)
        picked = p[rows, y]
        np.exp(p, out=p)
        total = p.sum(axis=1, keepdims=True)
        loss = float((np.log(total[:, 0]) - picked).mean())
        p /= total
        p[rows, y] -= 1
        p /= ROWS
        for k in range(last, -1, -1):
            below = a[k - 1] if k else x
            np.dot(below.T, d[k], out=gradients[2 * k])
            np.add.reduce(d[k], axis=0, out=gradients[2 * k + 1])
            if k:
                np.dot(d[k], weights[k].T, out=d[k - 1])
                np.multiply(d[k - 1], z[k - 1] > 0, out=d[k - 1])
        update(i + 1)
        return loss

    return step


def hand_tuned(case: Case, batches: list[Batch]) -> Step:
    """The same with every trick: samples as columns, biases inside the products, parameters in one vector."""
    draw = np.random.default_rng(1)
    shapes = [(n + 1, m) for n, m in zip(case.units, case.units[1:], strict=False)]
    sizes = [n * m for n, m in shapes]
    flat, gradient = np.zeros(sum(sizes), np.float32), np.zeros(sum(sizes), np.float32)
    places = np.cumsum([0, *sizes])
    w = [flat[p : p + n].reshape(s) for p, n, s in zip(places, sizes, shapes, strict=False)]
    g = [gradient[p : p + n].reshape(s) for p, n, s in zip(places, sizes, shapes, strict=False)]
    for one in w:
        one[:-1] = draw.normal(size=one[:-1].shape) * np.sqrt(2.0 / (len(one) - 1))
    update = hand_update(case.rule, [(flat, gradient)])
    x = np.ones((ROWS, shapes[0][0]), np.float32)
    inputs = [x.T, *(np.ones((m + 1, ROWS), np.float32) for _, m in shapes[:-1])]
    z = [np.empty((m, ROWS), np.float32) for _, m in shapes]
    d, gate = [np.empty_like(one) for one in z], [np.empty_like(one) for one in z]
    w_t, above, d_t = [one.T for one in w], [one[:-1] for one in w], [one.T for one in d]
    a, features = [one[:-1] for one in inputs[1:]], x[:, :-1]
    peak, total, picked = (np.empty(ROWS, np.float32) for _ in range(3))
    ones, mean = np.ones(case.units[-1], np.float32), np.full(ROWS, 1.0 / ROWS, np.float32)
    zero, share, stride = np.float32(0).reshape(()), np.array(1.0 / ROWS, np.float32), np.array(ROWS)
    rows, place, last, count = np.arange(ROWS), np.empty(ROWS, np.int64), len(shapes) - 1, len(batches)
    p, logits, e = d[last], z[last], gate[last]
    flat_logits, flat_p = logits.reshape(-1), p.reshape(-1)
    dot, multiply, subtract, maximum = np.dot, np.multiply, np.subtract, np.maximum
    two = case.units[-1] == 2

    def step(i: int) -> object:
        batch = batches[i % count]
        np.copyto(features, batch.x)
        multiply(batch.y, stride, place)
        np.add(place, rows, place)
        for k in range(last):
            dot(w_t[k], inputs[k], z[k])
            maximum(z[k], zero, out=a[k])
        dot(w_t[last], inputs[last], logits)
        if two:
            maximum(logits[0], logits[1], out=peak)
        else:
            maximum.reduce(logits, axis=0, out=peak)
        subtract(logits, peak, logits)
        np.exp(logits, e)
        dot(ones, e, total)
        flat_logits.take(place, None, picked, "clip")
        loss = float(dot(np.log(total) - picked, mean))
        np.divide(share, total, total)
        multiply(e, total, p)
        flat_p.take(place, None, picked, "clip")
        subtract(picked, share, picked)
        flat_p[place] = picked
        for k in range(last, 0, -1):
            dot(inputs[k], d_t[k], g[k])
            dot(above[k], d[k], d[k - 1])
            np.sign(a[k - 1], gate[k - 1])
            multiply(d[k - 1], gate[k - 1], d[k - 1])
        dot(inputs[0], d_t[0], g[0])
        update(i + 1)
        return loss

    return step


def hand_update(rule: str, pairs: list[tuple[Array, Array]]) -> Callable[[int], None]:
    """SGD, SGD with momentum, or Adam, in place on pairs of parameters and gradient."""
    state = [(p, g, np.zeros_like(p), np.zeros_like(p), np.empty_like(p)) for p, g in pairs]
    f = [np.array(v, np.float32) for v in (MOMENTUM, LR, 0.9, 0.1, 0.999, 0.001)]
    momentum, lr, beta1, rest1, beta2, rest2 = f

    def sgd(t: int) -> None:
        for p, g, _, _, s in state:
            np.multiply(g, lr, s)
            np.subtract(p, s, p)

    def with_momentum(t: int) -> None:
        for p, g, v, _, s in state:
            np.multiply(v, momentum, v)
            np.add(v, g, v)
            np.multiply(v, lr, s)
            np.subtract(p, s, p)

    def adam(t: int) -> None:
        root = float(np.sqrt(1.0 - 0.999**t))
        eps, rate = np.array(1e-8 * root, np.float32), np.array(ADAM_LR * root / (1.0 - 0.9**t), np.float32)
        for p, g, m, v, s in state:
            np.multiply(m, beta1, m)
            np.multiply(g, rest1, s)
            np.add(m, s, m)
            np.multiply(v, beta2, v)
            np.multiply(g, g, s)
            np.multiply(s, rest2, s)
            np.add(v, s, v)
            np.sqrt(v, s)
            np.add(s, eps, s)
            np.divide(m, s, s)
            np.multiply(s, rate, s)
            np.subtract(p, s, p)

    return {"sgd": sgd, "momentum": with_momentum, "adam": adam}[rule]


def set_threads(count: int) -> None:
    """Threads of NumPy's BLAS (where it can be told) and of torch."""
    BLAS.set_threads(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def qualify(loops: dict[str, Contestant], seconds: float) -> dict[str, float]:
    """Seconds a step of every loop: the better of two short slices, after a warm-up."""
    for loop in loops.values():
        loop.run(seconds / 3)
    return {name: min(loop.run(seconds / 3), loop.run(seconds / 3)) for name, loop in loops.items()}


def finalists(qualifying: dict[str, float], kind: str) -> list[str]:
    """The fastest loop of a kind with each number of threads, and every one that comes near the fastest of all."""
    of_kind = {name: t for name, t in qualifying.items() if name.startswith(kind)}
    best = {min((n for n in of_kind if n[-1] == name[-1]), key=lambda n: of_kind[n]) for name in of_kind}
    return [name for name, t in of_kind.items() if name in best or t <= CLOSE * min(of_kind.values())]


def final(loops: dict[str, Contestant], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Seconds a step of each loop in each round; the order turns by one from round to round."""
    names = list(loops)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            times[name].append(loops[name].run(seconds))
    return times


def ratio(slower: list[float], faster: list[float]) -> float:
    """Median of the paired ratios: how many times as fast the second is."""
    return round(statistics.median(s / f for s, f in zip(slower, faster, strict=True)), 3)


def one_case(case: Case, rounds: int, seconds: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    loops = contestants(case)
    qualifying = qualify(loops, 0.3 * seconds)
    rivals = [*finalists(qualifying, "torch "), *finalists(qualifying, "hand ")]
    ours = "bptui numpy"
    times = final({name: loops[name] for name in (ours, *rivals)}, rounds, seconds)
    faster_by = {name: ratio(times[name], times[ours]) for name in rivals}
    budgets = []
    for kind, floor, words in (
        ("torch ", case.torch_floor, "bare torch loop"), ("hand ", case.hand_floor, "hand-written NumPy loop")
    ):  # fmt: skip
        closest = min((name for name in rivals if name.startswith(kind)), key=lambda n: faster_by[n], default=None)
        if closest is not None and floor is not None:
            what = f"{case.name}: NumPy engine with probes, times as fast as the fastest {words} ({closest})"
            budgets.append(budget(what, faster_by[closest], floor))
    probed = loops[ours]
    result = {
        "qualifying_microseconds_a_step": {name: round(t * 1e6, 1) for name, t in qualifying.items()},
        "final_microseconds_a_step": {name: round(statistics.median(t) * 1e6, 1) for name, t in times.items()},
        "bptui_numpy_is_faster_by": faster_by,
        "probe_share": round(probed.share(), 4) if isinstance(probed, Probed) else None,
        "threads_of_bptui": probed.threads,
    }
    return result, budgets


def budget(what: str, value: float, floor: float) -> dict[str, Any]:
    return {"what": what, "value": value, "budget": floor, "unit": "times, at least", "ok": value >= floor}


def sklearn_epochs(epochs: int) -> dict[str, Any]:
    """What a user would pick instead: ``MLPClassifier``, its epochs in turn with ours."""
    if find_spec("sklearn") is None:
        return {"note": "scikit-learn is not installed"}
    results: dict[str, Any] = {}
    for source, hidden, batch, times in (
        ("digits", (32, 16), 32, 4 * epochs), ("fashion-mnist", (128,), 64, epochs), ("mnist", (128,), 64, epochs)
    ):  # fmt: skip
        try:
            results[source] = sklearn_against(source, hidden, batch, times)
        except DataError as error:
            results[source] = {"note": str(error)}
    return results


def sklearn_against(source: str, hidden: tuple[int, ...], batch: int, epochs: int) -> dict[str, Any]:
    """The same network, rule (Adam), size of batches and number of epochs; accuracy on the rows held out."""
    from sklearn.neural_network import MLPClassifier

    data = load(Data(source=source, batch_size=batch), seed=0, dtype="f32", loss=CrossEntropy())
    held = data.test or data.validation
    assert held is not None
    x, y, classes = np.asarray(data.train.x), np.asarray(data.train.y), np.arange(data.outputs)
    theirs = MLPClassifier(hidden, batch_size=batch, alpha=0.0, learning_rate_init=ADAM_LR, random_state=0)
    theirs.partial_fit(x[:batch], y[:batch], classes=classes)
    layers = (*(Dense(units=n, activation="relu") for n in hidden), Dense(units=data.outputs))
    experiment = Experiment(data=Data(source=source), model=layers, loss=CrossEntropy(), optimizer=Adam(lr=ADAM_LR))
    engine = create(experiment, data.features, data.outputs, engine="numpy", dtype="f32", seed=0)
    batches = Batches(data.train, batch, 0)
    ours = threads.fitting(threads.of_widths((data.features, *hidden, data.outputs)), batch, CORES)

    def their_epoch() -> None:
        set_threads(CORES)
        theirs.partial_fit(x, y)

    def our_epoch() -> None:
        set_threads(ours)
        for step in range(batches.steps_per_epoch):
            engine.train_step(batches.next(), step, ADAM_LR)

    times: dict[str, list[float]] = {"sklearn": [], "bptui numpy": []}
    for _ in range(epochs):
        for name, run in (("sklearn", their_epoch), ("bptui numpy", our_epoch)):
            started = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - started)
    found = engine.predict(np.asarray(held.x)).argmax(axis=1)
    return {
        "network": "-".join(map(str, (data.features, *hidden, data.outputs))),
        "epochs": epochs,
        "milliseconds_an_epoch": {name: round(statistics.median(t) * 1e3, 2) for name, t in times.items()},
        "accuracy": {
            "sklearn": round(float(theirs.score(np.asarray(held.x), np.asarray(held.y))), 4),
            "bptui numpy": round(float(np.mean(found == held.y)), 4),
        },
        "bptui_numpy_is_faster_by": ratio(times["sklearn"], times["bptui numpy"]),
    }


def long_run(repeats: int, steps: int = 100_000) -> dict[str, Any]:
    """Whether a run of many steps gets slower: the whole program, first tenth of its steps against the last."""
    speeds = [tenths(steps) for _ in range(repeats)]
    return {
        "steps": steps,
        "steps_per_second_in_each_tenth": speeds,
        "last_tenth_against_first": round(statistics.median(each[0] / each[-1] for each in speeds), 3),
    }


def tenths(steps: int) -> list[int]:
    """Steps a second in each tenth of one run of ``bptui train digits``."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bptui", "train", "digits", "--steps", str(steps), "--quiet"]
        subprocess.run(command, env={**os.environ, "BPTUI_HOME": folder}, capture_output=True, check=True)
        (run,) = (Path(folder) / "runs").iterdir()
        times = losses_times(run)
    ends = [times[min(tenth * steps // 10, steps - 1)] for tenth in range(11)]
    return [round(steps / 10 / (last - first)) for first, last in itertools.pairwise(ends)]


def losses_times(run: Path) -> list[float]:
    """When each loss of a run was written, in seconds, as its log has it (exact at the ends of its blocks)."""
    parser, times = LogParser(), []
    for block in parser.feed((run / "scalars").read_bytes()):
        if block.kind == BlockKind.SERIES and block.index == 0:
            times += np.linspace(*block.times(), len(block.values())).tolist()
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="more rounds")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: under a minute and a half")
    arguments = parser.parse_args()
    rounds, seconds, epochs = (25, 1.0, 10) if arguments.full else (5, 0.3, 1) if arguments.quick else (7, 1.0, 3)
    result: dict[str, Any] = {"cases": {}, "budgets": []}
    for case in CASES:
        result["cases"][case.name], budgets = one_case(case, rounds, seconds)
        result["budgets"] += budgets
    result["against_sklearn"] = sklearn_epochs(epochs)
    result["long_run"] = long_run(2 if arguments.quick else 3)
    slower = result["long_run"]["last_tenth_against_first"]
    what = "100,000 steps: time of the last 10,000 steps over that of the first 10,000"
    result["budgets"].append(
        {"what": what, "value": slower, "budget": 1.15, "unit": "times, at most", "ok": slower <= 1.15}
    )
    print(json.dumps(result, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
