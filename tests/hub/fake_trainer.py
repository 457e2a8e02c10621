"""A trainer that computes nothing: it writes a ring and answers on its socket, as the real one does.

Run as ``python fake_trainer.py RUN_DIR``. ``$FAKE_TRAINER`` (JSON) bends it:
``steps`` (then DONE and the end), ``rate`` (steps a second, 0: as fast as it goes), ``fail`` (an input
error's line), ``deaf`` (never looks at its flag), ``hold`` (READY until asked to run), ``tables`` (every
so many steps), ``print`` (a line for its output), ``crash_at`` (step at which it kills itself).
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import sys
import time
from pathlib import Path

from bptui.protocol.framing import Body, Decoder, encode
from bptui.protocol.messages import Hello, Inspect, Inspection, Ok, Pause, Refused, Run, Set, Step, Stop, Welcome
from bptui.runs.info import read_info
from bptui.runs.records import CELLS, SERIES, TABLE_COLUMNS
from bptui.runs.ring import Record, Ring

LAYERS = [
    {"name": "dense1", "kind": "dense", "inputs": 2, "shape": [16], "activation": "relu", "parameters": 48},
    {"name": "dense2", "kind": "dense", "inputs": 16, "shape": [3], "activation": "identity", "parameters": 51},
]


def loss_of(step: int) -> float:
    return 2.0 / (1 + step)


class FakeTrainer:
    def __init__(self, run: Path) -> None:
        self.options = json.loads(os.environ.get("FAKE_TRAINER", "{}"))
        self.info = read_info(run)
        self.ring = Ring(run / "ring")
        self.ring.claim()
        self.flag = self.ring.flag_view()
        self.step = 0
        self.state = ""
        address = self.info.trainer_address
        if os.path.exists(address):
            os.unlink(address)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(address)
        self.listener.listen(4)
        self.links: dict[socket.socket, Decoder] = {}

    def say(self, kind: Record, content: dict) -> None:  # type: ignore[type-arg]
        self.ring.write(kind, self.step, json.dumps(content).encode())

    def enter(self, state: str, text: str = "") -> None:
        self.state = state
        self.ring.set_state(state)
        self.say(Record.STATE, {"state": state, "text": text, "micro": ""})

    def run(self) -> int:
        options = self.options
        if "print" in options:
            print(options["print"], flush=True)
        if "fail" in options:
            self.ring.set_state("FAILED")
            self.say(Record.END, {"reason": "failed", "code": 2, "error": options["fail"]})
            return 2
        self.say(Record.META, {
            "title": self.info.title, "engine": "fake", "engine_reason": "a test", "device": "cpu", "dtype": "f32",
            "layers": LAYERS, "features": 2, "outputs": 3, "task": "classification", "steps_per_epoch": 100,
            "total_steps": options.get("steps"), "threads": 1, "epoch_samples": 3200,
        })  # fmt: skip
        self.enter("READY" if self.info.interactive or options.get("hold") else "RUNNING")
        rate = options.get("rate", 0)
        while self.state != "STOPPED":
            if self.flag[0] and not options.get("deaf"):
                self.attend(0)
            if self.state == "RUNNING":
                self.update()
                if rate:
                    time.sleep(1 / rate)
                if self.step >= options.get("steps", 1 << 60):
                    self.enter("DONE")
                    if not self.info.interactive:
                        self.say(Record.END, {"reason": "completed", "code": 0, "error": "", "step": self.step})
                        return 0
            elif self.state != "STOPPED":
                self.attend(1.0)
        self.say(Record.END, {"reason": "stopped", "code": 0, "error": "", "step": self.step})
        return 0

    def update(self) -> None:
        options = self.options
        if self.step == options.get("crash_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        self.ring.loss(self.step, loss_of(self.step), time.time())
        self.step += 1
        if self.step % options.get("tables", 50) == 0:
            row = [float(self.step)] * (len(TABLE_COLUMNS) - 3)
            dead = options.get("dead", 0)
            table = [*row, dead, 16.0, 32.0 * self.step, *row, -1.0, 3.0, 32.0 * self.step]
            self.ring.write(Record.TABLE, self.step, struct.pack(f"<{len(table)}f", *table))
            counts = struct.pack(f"<II{2 * CELLS}I", 0, 0, *range(2 * CELLS))
            self.ring.write(Record.HISTOGRAM, self.step, counts)
            lr = struct.pack("<HHId", SERIES.index("lr"), 0, 0, 0.1)
            self.ring.write(Record.SERIES, self.step, lr)

    def attend(self, seconds: float) -> None:
        self.ring.lower_flag()
        ready, _, _ = select.select([self.listener, *self.links], [], [], seconds)
        while ready:
            for link in ready:
                if link is self.listener:
                    self.links[self.listener.accept()[0]] = Decoder()
                    continue
                try:
                    data = link.recv(1 << 16)
                except ConnectionError:  # its hub was killed
                    data = b""
                if not data:
                    del self.links[link]
                    link.close()
                    continue
                for frame in self.links[link].feed(data):
                    self.answer(link, frame.message)
            ready, _, _ = select.select([self.listener, *self.links], [], [], 0)

    def answer(self, link: socket.socket, message: object) -> None:
        body = Body()
        match message:
            case Hello(id=number):
                reply = Welcome(id=number, version=1, capabilities=(), run=self.info.id, controller=True)
            case Run(id=number):
                self.enter("RUNNING")
                reply = Ok(id=number, step=self.step)
            case Pause(id=number):
                self.enter("PAUSED")
                reply = Ok(id=number, step=self.step)
            case Step(id=number, count=count):
                for _ in range(count):
                    self.update()
                self.enter("PAUSED")
                reply = Ok(id=number, step=self.step)
            case Stop(id=number):
                self.enter("STOPPED")
                reply = Ok(id=number, step=self.step)
            case Set(id=number, key=key, value=value):
                told = {"step": self.step, "phase": "", "change": key, "before": 0.1, "after": value}
                self.ring.write(Record.EVENT, self.step, json.dumps(told).encode())
                reply = Ok(id=number, step=self.step)
            case Inspect(id=number, layer=layer):
                import numpy as np

                ref = body.add(np.arange(6, dtype=np.float32).reshape(2, 3))
                reply = Inspection(id=number, step=self.step, micro="", layer=layer, loss=None, arrays={"a": ref},
                                   shapes={"a": (2, 3)})  # fmt: skip
            case _:
                reply = Refused(id=getattr(message, "id", 0), code="unsupported", message="not here")
        link.sendall(encode(reply, body.bytes()))


if __name__ == "__main__":
    sys.exit(FakeTrainer(Path(sys.argv[1])).run())
