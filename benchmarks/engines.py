"""Training speed of the engines against bare loops: prints JSON.

    python benchmarks/engines.py [--quick | --full]

Each contestant trains the same network from the same batches, one after the other in turn, a slice at a
time; a figure is the median over the rounds of the ratio of the two contestants' times of that round.

- *bptui numpy*: the engine as the trainer drives it: a record of each loss in a ring, probes under their
  governor at the usual budget. *bare* is the same without records and probes.

- *torch*: bare loops with pre-built tensors: autograd and ``torch.optim``, foreach and fused.
- Each with one thread and with all; the engine's faster one is compared with the faster ones of the others.
- *hand*: NumPy loops written out for this very network. ``plain`` is the usual one with buffers; ``tuned``
  uses each trick of the engine (bias in the product, samples as columns, one flat vector of parameters).
- *sklearn*: epochs of ``MLPClassifier`` on digits and Fashion-MNIST against the engine's with the same network.
- *long run*: the whole program over 100,000 steps, whose last steps must not be slower than its first.
"""

from __future__ import annotations

import argparse
import atexit
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
from bptui.engine import create
from bptui.engine.base import Batch
from bptui.probe.measure import Probe
from bptui.runs.log import BlockKind, LogParser
from bptui.runs.ring import Ring
from bptui.spec.experiment import SGD, Adam, CrossEntropy, Data, Dense, Experiment

Step = Callable[[int], object]
Array = npt.NDArray[Any]
THREADS = sorted({1, os.cpu_count() or 1})
ROWS, MOMENTUM, SGD_LR, ADAM_LR = 64, 0.9, 0.01, 0.001
PROBE_BUDGET = 0.03


@dataclass(frozen=True)
class Case:
    """One network, one rule; ``floor`` is the least speed-up over the fastest bare torch loop."""

    units: tuple[int, ...]
    rule: str
    steps: int
    """Steps of one slice."""
    floor: float
    hand_floor: float

    @property
    def name(self) -> str:
        return f"{'-'.join(map(str, self.units))} {self.rule}"

    def batches(self) -> list[Batch]:
        draw = np.random.default_rng(0)
        return [
            Batch(draw.normal(size=(ROWS, self.units[0])).astype(np.float32), draw.integers(0, self.units[-1], ROWS))
            for _ in range(16)
        ]

    def experiment(self) -> Experiment:
        hidden = tuple(Dense(units=n, activation="relu") for n in self.units[1:-1])
        rule = SGD(lr=SGD_LR, momentum=MOMENTUM) if self.rule == "sgd" else Adam(lr=ADAM_LR)
        model = (*hidden, Dense(units=self.units[-1]))
        return Experiment(data=Data(source="made"), model=model, loss=CrossEntropy(), optimizer=rule)


CASES = (
    Case((20, 10, 10, 2), "sgd", 300, 4.0, 0.9),
    Case((20, 10, 10, 2), "adam", 300, 4.0, 0.9),
    Case((784, 256, 128, 10), "sgd", 25, 1.7, 0.9),
    Case((784, 256, 128, 10), "adam", 25, 1.7, 0.9),
)


def contestants(case: Case) -> dict[str, Step]:
    """Every stepping function of a case by name and number of threads; all are compared with ``bptui numpy``."""
    batches = case.batches()
    steps: dict[str, Step] = {}
    for count in THREADS if case.units[0] > 100 else THREADS[:1]:  # no BLAS splits the products of the small one
        steps[f"bptui numpy {count}"] = threaded(probed_step(case, batches), count)
        steps[f"bptui bare {count}"] = threaded(engine_step(case, batches, "numpy"), count)
        steps[f"hand plain {count}"] = threaded(hand_plain(case, batches), count)
        steps[f"hand tuned {count}"] = threaded(hand_tuned(case, batches), count)
    if find_spec("torch") is None:
        return steps
    for count in THREADS:
        steps[f"torch foreach {count}"] = threaded(torch_step(case, batches, "foreach"), count)
        steps[f"torch fused {count}"] = threaded(torch_step(case, batches, "fused"), count)
        steps[f"bptui torch {count}"] = threaded(engine_step(case, batches, "torch"), count)
    return steps


def threaded(step: Step, count: int) -> Step:
    """The same step, marked with the number of threads that ``measure`` gives to BLAS and torch for it."""

    def marked(i: int) -> object:
        return step(i)

    marked.__dict__["threads"] = count
    return marked


def engine_step(case: Case, batches: list[Batch], name: Any) -> Step:
    engine = create(case.experiment(), case.units[0], case.units[-1], engine=name, dtype="f32", seed=0)
    lr, count = SGD_LR if case.rule == "sgd" else ADAM_LR, len(batches)
    return lambda i: engine.train_step(batches[i % count], i, lr)


def probed_step(case: Case, batches: list[Batch]) -> Step:
    """What the trainer's hot loop does: one record a step, and a watched step where the governor allows one."""
    engine = create(case.experiment(), case.units[0], case.units[-1], engine="numpy", dtype="f32", seed=0)
    lr, count = SGD_LR if case.rule == "sgd" else ADAM_LR, len(batches)
    ring = Ring.create(Path(tempfile.mkdtemp(prefix="bptui-bench-")) / "ring")
    atexit.register(shutil.rmtree, ring.path.parent, ignore_errors=True)
    flag, clock = ring.flag_view(), time.time
    engine.train_step(batches[0], 0, lr)
    probe = Probe(engine, ring, PROBE_BUDGET, batches)
    probe.prepare(0, everything=True)
    engine.train_step(batches[0], 0, lr)
    probe.measure(0, everything=True)  # as at the start of a run: what is slow the first time is not counted
    probe.governor.forget()
    probe.governor.begin(time.perf_counter())
    train_step, record, governor = engine.train_step, ring.loss, probe.governor
    began, since = time.perf_counter(), 0

    def step(i: int) -> object:
        nonlocal began, since
        if i < governor.next_step():
            loss = train_step(batches[i % count], i, lr)
            record(i, loss, clock())
            if i - since == 100:  # a stretch ends: the governor hears how long a step takes
                now = time.perf_counter()
                if since >= 0:
                    governor.stepped((now - began) / 100)
                began, since = now, i
                ring.advance(ring.head)  # a hub takes what has come
            return flag[0] or loss - loss != 0.0
        if 0 < i - since - 1 < 100:  # a stretch that a probe ends tells the governor too
            governor.stepped((time.perf_counter() - began) / (i - since - 1))
        probe.prepare(i)
        engine.watch(True)
        loss = train_step(batches[i % count], i, lr)
        engine.watch(False)
        record(i, loss, clock())
        probe.measure(i)
        began, since = time.perf_counter(), i
        return loss

    warm = 12 * case.steps  # the probes of a run's beginning are spread over a run, not over a slice of a benchmark
    for i in range(warm):
        step(i)
    return lambda i: step(i + warm)


def torch_step(case: Case, batches: list[Batch], kind: str) -> Step:
    import torch

    layers: list[torch.nn.Module] = []
    for inputs, units in zip(case.units, case.units[1:], strict=False):
        layers += [torch.nn.Linear(inputs, units), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    option: dict[str, Any] = {"foreach": True} if kind == "foreach" else {"fused": True}
    optimizer: torch.optim.Optimizer
    if case.rule == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), lr=SGD_LR, momentum=MOMENTUM, **option)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=ADAM_LR, **option)
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
    """SGD with momentum, or Adam, in place on pairs of parameters and gradient."""
    state = [(p, g, np.zeros_like(p), np.zeros_like(p), np.empty_like(p)) for p, g in pairs]
    f = [np.array(v, np.float32) for v in (MOMENTUM, SGD_LR, 0.9, 0.1, 0.999, 0.001)]
    momentum, lr, beta1, rest1, beta2, rest2 = f

    def sgd(t: int) -> None:
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

    return sgd if rule == "sgd" else adam


def measure(steps: dict[str, Step], slice_steps: int, rounds: int) -> dict[str, list[float]]:
    """Seconds a step of each contestant in each round; the order turns by one from round to round."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    counters = dict.fromkeys(steps, 0)
    names = list(steps)
    for number in range(-1, rounds):  # the first round warms up
        for name in names[number % len(names) :] + names[: number % len(names)]:
            step, first = steps[name], counters[name]
            set_threads(step)
            length = max(slice_steps // 3, 1) if number < 0 else slice_steps
            started = time.perf_counter()
            for i in range(first, first + length):
                step(i)
            if number >= 0:
                times[name].append((time.perf_counter() - started) / length)
            counters[name] += length
    return times


def set_threads(step: Step) -> None:
    """Threads of BLAS (where threadpoolctl can set them) and of torch as this contestant wants them."""
    threads = getattr(step, "threads", 1)
    if find_spec("threadpoolctl") is not None:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        threadpool_limits(threads)
    if find_spec("torch") is not None:
        import torch

        torch.set_num_threads(threads)


def ratio(slower: list[float], faster: list[float]) -> float:
    """Median of the paired ratios: how many times as fast the second is."""
    return round(statistics.median(s / f for s, f in zip(slower, faster, strict=True)), 3)


def one_case(case: Case, rounds: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    times = measure(contestants(case), case.steps, rounds)
    best = min((name for name in times if name.startswith("bptui numpy")), key=lambda n: statistics.median(times[n]))
    speed_up = {name: ratio(theirs, times[best]) for name, theirs in times.items() if name != best}
    budgets = []
    torch_loops = {name: value for name, value in speed_up.items() if name.startswith("torch ")}
    if torch_loops:
        name = min(torch_loops, key=lambda n: torch_loops[n])
        what = f"{case.name}: NumPy engine with probes, times as fast as the fastest bare torch loop ({name})"
        budgets.append(budget(what, torch_loops[name], case.floor))
    hand = min((name for name in speed_up if name.startswith("hand ")), key=lambda n: speed_up[n])
    what = f"{case.name}: NumPy engine with probes, times as fast as the fastest hand-written NumPy loop ({hand})"
    budgets.append(budget(what, speed_up[hand], case.hand_floor))
    microseconds = {name: round(statistics.median(t) * 1e6, 1) for name, t in times.items()}
    return {"microseconds_a_step": microseconds, f"{best} is faster by": speed_up}, budgets


def budget(what: str, value: float, floor: float) -> dict[str, Any]:
    return {"what": what, "value": value, "budget": floor, "unit": "times, at least", "ok": value >= floor}


def sklearn_epochs(rounds: int) -> dict[str, Any]:
    """What a user would pick instead: ``MLPClassifier`` on digits and Fashion-MNIST, its epochs in turn with ours."""
    if find_spec("sklearn") is None:
        return {"note": "scikit-learn is not installed"}
    results: dict[str, Any] = {}
    for source, hidden, batch, epochs in (("digits", (32, 16), 32, max(rounds, 12)), ("fashion", (128,), 64, 3)):
        try:
            results[source] = sklearn_against(source, hidden, batch, epochs)
        except DataError as error:
            results[source] = {"note": str(error)}
    return results


def sklearn_against(source: str, hidden: tuple[int, ...], batch: int, epochs: int) -> dict[str, Any]:
    """The same network, rule (Adam), batches and number of epochs; accuracy on the rows held out."""
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

    def our_epoch() -> None:
        for step in range(batches.steps_per_epoch):
            engine.train_step(batches.next(), step, ADAM_LR)

    times: dict[str, list[float]] = {"sklearn": [], "bptui numpy": []}
    for _ in range(epochs):
        for name, run in (("sklearn", lambda: theirs.partial_fit(x, y)), ("bptui numpy", our_epoch)):
            started = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - started)
    ours = engine.predict(np.asarray(held.x)).argmax(axis=1)
    return {
        "network": "-".join(map(str, (data.features, *hidden, data.outputs))),
        "epochs": epochs,
        "milliseconds_an_epoch": {name: round(statistics.median(t) * 1e3, 2) for name, t in times.items()},
        "accuracy": {
            "sklearn": round(float(theirs.score(np.asarray(held.x), np.asarray(held.y))), 4),
            "bptui numpy": round(float(np.mean(ours == held.y)), 4),
        },
        "bptui_numpy_is_faster_by": ratio(times["sklearn"], times["bptui numpy"]),
    }


def long_run(steps: int) -> dict[str, Any]:
    """Whether a run of many steps gets slower: the whole program, first tenth of its steps against the last."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bptui", "train", "digits", "--steps", str(steps), "--quiet"]
        subprocess.run(command, env={**os.environ, "BPTUI_HOME": folder}, capture_output=True, check=True)
        (run,) = (Path(folder) / "runs").iterdir()
        times = losses_times(run)
    tenth = steps // 10
    first, last = times[2 * tenth] - times[tenth], times[-1] - times[-1 - tenth]
    return {
        "steps": steps,
        "steps_per_second": round(steps / (times[-1] - times[0])),
        "last_tenth_against_second_tenth": round(last / first, 3),
    }


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
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    arguments = parser.parse_args()
    rounds = 60 if arguments.full else 5 if arguments.quick else 11
    result: dict[str, Any] = {"cases": {}, "budgets": []}
    for case in CASES:
        result["cases"][case.name], budgets = one_case(case, rounds)
        result["budgets"] += budgets
    result["against_sklearn"] = sklearn_epochs(rounds)
    result["long_run"] = long_run(100_000)
    slower = result["long_run"]["last_tenth_against_second_tenth"]
    what = "100,000 steps: time of the last tenth of the steps over that of the second tenth"
    result["budgets"].append(
        {"what": what, "value": slower, "budget": 1.15, "unit": "times, at most", "ok": slower <= 1.15}
    )
    print(json.dumps(result, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
