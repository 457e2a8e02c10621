"""The table of keys, and what each key does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_session import END, FakeSession, experiment, model_info, status, story
from screen_text import lines, settle, shown, text, until

from bptui.client.session import ConnectionLost, RequestRefused
from bptui.protocol import messages
from bptui.protocol.messages import MicroStep, Pace, Pause, Run, Step, Stop, TakeControl
from bptui.spec.experiment import Experiment
from bptui.tui import keys
from bptui.tui.screens.base import next_pace
from bptui.tui.screens.inspector import Inspector
from bptui.tui.screens.main import MainScreen
from bptui.tui.screens.registry import opener
from bptui.tui.widgets.keybar import fitting

SPEC = experiment()


# -- the table -------------------------------------------------------------------------------------
@pytest.mark.parametrize("place", ["main", "inspector"])
def test_no_key_stands_twice_and_each_has_its_action(place: keys.Place) -> None:
    names = [name for key in keys.keys_of(place) for name in key.keys]
    assert len(names) == len(set(names))
    screen = Inspector if place == "inspector" else MainScreen
    for key in keys.keys_of(place):
        assert callable(getattr(screen, f"action_{key.action.partition('(')[0]}"))
        if key.action.startswith("screen("):
            assert callable(opener(key.action.split("'")[1]))
        assert key.help.endswith(".") and key.label and key.shown


def test_messages_of_the_table_are_messages_of_the_protocol() -> None:
    for key in keys.KEYS + keys.INSPECTOR_KEYS:
        for name in filter(None, key.message.split(" / ")):
            assert hasattr(messages, name)


@pytest.mark.parametrize("width", [10, 40, 80, 120, 200])
def test_help_and_quit_stay_in_the_key_bar(width: int) -> None:
    shown_keys = [key.shown for key in fitting(keys.keys_of("main"), width)]
    assert shown_keys[-2:] == ["?", "q"]


def test_the_table_prints_itself_for_the_docs() -> None:
    out = subprocess.run([sys.executable, "-m", "bptui.tui.keys"], capture_output=True, text=True, check=True).stdout
    rows = [name for name in vars(keys) if name == "KEYS" or name.endswith("_KEYS")]
    assert out.count("\n") == 2 + sum(len(getattr(keys, name)) for name in rows)
    assert "| `space` |" in out


def test_paces_go_from_micro_play_to_as_fast_as_it_goes() -> None:
    pace, seen = -1.0, []
    for _ in range(6):
        seen.append(pace)
        pace = next_pace(pace, 1)
    assert seen == [-1.0, 1.0, 10.0, 50.0, 100.0, 0.0] and pace == 0.0
    assert next_pace(0.0, -1) == 100.0 and next_pace(-1.0, -1) == -1.0 and next_pace(30.0, 1) == 50.0


# -- transport -------------------------------------------------------------------------------------
async def test_space_runs_and_pauses() -> None:
    session = FakeSession([model_info(SPEC), status("READY")])
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("space")
        await until(pilot, lambda: "RUNNING" in lines(app)[0])
        await pilot.press("space")
        await until(pilot, lambda: "PAUSED" in lines(app)[0])
    assert [type(m) for m in session.sent] == [Run, Pause]


@pytest.mark.parametrize("focus", ["1", "2", "3", "4"])
async def test_transport_works_whichever_pane_has_the_focus(focus: str) -> None:
    session = FakeSession([model_info(SPEC), status("PAUSED", 12)])
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press(focus, "s", "full_stop", "n", "plus", "minus")
        await until(pilot, lambda: "step 14" in lines(app)[0] and len(session.sent) == 5)
    assert [type(m) for m in session.sent] == [Step, Step, MicroStep, Pace, Pace]
    assert [m.steps_per_second for m in session.sent if isinstance(m, Pace)] == [100.0, 50.0]


async def test_quick_presses_of_faster_count_one_by_one() -> None:
    session = FakeSession([model_info(SPEC), status("RUNNING", 12, pace=1.0)])
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("plus", "plus", "plus", "plus", "plus", "minus")
        await until(pilot, lambda: "pace: 100 steps/s" in lines(app)[-1])
    assert [m.steps_per_second for m in session.sent if isinstance(m, Pace)] == [10.0, 50.0, 100.0, 0.0, 0.0, 100.0]


@pytest.mark.parametrize("key", ["s", "n", "space"])
async def test_transport_pauses_what_runs(key: str) -> None:
    session = FakeSession([model_info(SPEC), status("RUNNING", 12)])
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press(key)
        await until(pilot, lambda: "PAUSED" in lines(app)[0])
    assert [type(m) for m in session.sent] == [Pause]


async def test_a_micro_step_is_shown_and_its_layer_marked() -> None:
    session = FakeSession([model_info(SPEC), status("PAUSED", 12, micro="backward dense2")])
    async with shown(session, SPEC) as (app, _):
        assert lines(app)[0].startswith(" ‖ PAUSED   step 12 · backward dense2")
        assert sum("◆ dense2" in line for line in lines(app)) >= 1


async def test_an_observer_is_told_how_to_take_control() -> None:
    session = FakeSession([model_info(SPEC), status("RUNNING", 12, controller=False)])
    async with shown(session, SPEC) as (app, pilot):
        assert "watching" in lines(app)[0]
        for key in ("space", "s", "n", "plus", "minus"):
            await pilot.press(key)
        await until(pilot, lambda: "another face has control; c takes it" in lines(app)[-1])
        assert session.sent == []
        await pilot.press("c")
        await until(pilot, lambda: "watching" not in lines(app)[0])
    assert [type(m) for m in session.sent] == [TakeControl]


async def test_a_refusal_is_one_line() -> None:
    session = FakeSession([model_info(SPEC), status("PAUSED", 12)])
    async with shown(session, SPEC) as (app, pilot):
        session.fail = RequestRefused("unsupported", "a script cannot be\x1b[2J stepped")
        await pilot.press("s")
        await until(pilot, lambda: "a script cannot be" in lines(app)[-1])


# -- panes -----------------------------------------------------------------------------------------
async def test_zoom_and_back() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC) as (app, pilot):
        await pilot.press("2", "z")
        await until(pilot, lambda: "2 Loss" in text(app) and "1 Model" not in text(app))
        await pilot.press("z")
        await until(pilot, lambda: "1 Model" in text(app) and "3 Gradients" in text(app))


async def test_log_axis() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC) as (app, pilot):
        await pilot.press("y")
        await until(pilot, lambda: "Loss, log" in text(app) and "0.5 ┤" in text(app))
        await pilot.press("y")
        await until(pilot, lambda: "Loss, log" not in text(app) and "  0 ┤" in text(app))


async def test_h_turns_through_the_quantities() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC) as (app, pilot):
        for symbol in ("W", "a", "δ", "∇W"):
            await pilot.press("h")
            await until(pilot, lambda symbol=symbol: f"histogram of log₂|{symbol}|" in text(app))


async def test_the_selection_is_the_same_in_both_lists() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC) as (app, pilot):
        await pilot.press("1", "down", "down", "down", "up")
        await until(pilot, lambda: text(app).count("▸ dense2") == 2)


async def test_escape_on_the_main_screen_does_nothing() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC) as (app, pilot):
        await pilot.press("escape", "escape")
        assert app.is_running and app.screen is app.main


async def test_the_palette_lists_the_actions_and_runs_one() -> None:
    session = FakeSession(story(SPEC))
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("colon")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press(*"micro")
        await until(pilot, lambda: "micro  (n)" in text(app))
        await pilot.pause(0.2)
        await pilot.press("enter")
        await until(pilot, lambda: any(isinstance(m, MicroStep) for m in session.sent))


async def test_help_explains_the_focused_pane() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC) as (app, pilot):
        for pane, words in (("1", "z = aW + b"), ("2", "losses[k]"), ("3", "‖ΔW‖ / ‖W‖"), ("4", "root cause first")):
            await pilot.press(pane, "question_mark")
            await until(pilot, lambda words=words: words in text(app), words)
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.main)


# -- inspector -------------------------------------------------------------------------------------
async def test_the_inspector_shows_exact_numbers_of_a_cell() -> None:
    session = FakeSession(story(SPEC))
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("i")
        await until(pilot, lambda: "delta[0, 0] = " in text(app))
        await pilot.press("down", "down", "right")
        value = float(session.values("delta", 0)[2, 1])
        await until(pilot, lambda: f"delta[2, 1] = {value!r}" in text(app))
        await pilot.press("tab")
        await until(pilot, lambda: "grad_W[2, 1]" in text(app) and "∂L/∂Wˡ = aˡ⁻¹ᵀ δˡ" in text(app))
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "dense2 2/3" in text(app))
        await pilot.press("s")
        await until(pilot, lambda: "step 301" in lines(app)[0])
        await until(pilot, lambda: isinstance(session.sent[-1], messages.Sheet) and session.sent[-1].layer == 1)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main and "▸ dense2" in text(app))


async def test_the_last_layer_has_its_own_formula() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC) as (app, pilot):
        await pilot.press("end", "i")
        await until(pilot, lambda: "softmax(zᴸ) − y" in text(app))


async def test_inspecting_what_runs_pauses_first_and_says_so() -> None:
    session = FakeSession([*story(SPEC), status("RUNNING", 300)])
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("i")
        await until(pilot, lambda: "paused, to look at values" in text(app) and "delta[0, 0]" in text(app))
    kinds = [type(m) for m in session.sent]
    assert kinds[0] is Pause and set(kinds[1:]) == {messages.Ledger, messages.Sheet}


async def test_a_refused_inspection_is_one_line() -> None:
    session = FakeSession(story(SPEC))
    async with shown(session, SPEC) as (app, pilot):
        session.fail = RequestRefused("bad-request", "no such layer")
        await pilot.press("i")
        await until(pilot, lambda: "no such layer" in text(app) and "no values" in text(app))


# -- edit and restart ------------------------------------------------------------------------------
class Launches:
    """Counts what is launched, and gives a fresh READY session for it."""

    def __init__(self) -> None:
        self.experiments: list[Experiment] = []
        self.sessions: list[FakeSession] = []

    def relaunch(self, changed: Experiment) -> Path:
        self.experiments.append(changed)
        return Path(f"/runs/new-{len(self.experiments)}")

    async def connect(self, directory: Path) -> FakeSession:
        session = FakeSession([model_info(self.experiments[-1]), status("READY")], directory)
        self.sessions.append(session)
        return session

    @property
    def options(self) -> dict[str, Any]:
        return {"relaunch": self.relaunch, "connect": self.connect}


async def test_restart_keeps_the_experiment() -> None:
    launches = Launches()
    async with shown(FakeSession(story(SPEC)), SPEC, **launches.options) as (app, pilot):
        await pilot.press("R")
        await until(pilot, lambda: "READY" in lines(app)[0])
    assert launches.experiments == [SPEC]


async def test_a_run_without_an_experiment_cannot_be_edited() -> None:
    async with shown(FakeSession([status("PAUSED", 5)])) as (app, pilot):
        await pilot.press("e")
        await until(pilot, lambda: "a script's model is written in the script" in lines(app)[-1])


# -- leaving ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("key", ["q", "ctrl+q", "ctrl+c"])
@pytest.mark.parametrize("state", ["READY", "DONE", "FAILED"])
async def test_leaving_what_does_not_run_asks_nothing(state: str, key: str) -> None:
    session = FakeSession([model_info(SPEC), status(state, 0 if state == "READY" else 900)])
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press(key)
        await until(pilot, lambda: not app.is_running)
    assert session.closed is True and app.return_value is not None and app.return_value.code == 0


@pytest.mark.parametrize(
    ("state", "presses", "sent"),
    [("RUNNING", ["enter"], []), ("RUNNING", ["down", "enter"], [Stop]), ("PAUSED", ["enter"], [Run]),
     ("PAUSED", ["down", "enter"], []), ("PAUSED", ["down", "down", "enter"], [Stop])],
)  # fmt: skip
async def test_leaving_what_runs_asks_first(state: str, presses: list[str], sent: list[type]) -> None:
    session = FakeSession([*story(SPEC), status(state, 300)])
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("q")
        await until(pilot, lambda: "What shall become of it?" in text(app))
        await pilot.press(*presses)
        await until(pilot, lambda: not app.is_running)
    assert [type(m) for m in session.sent] == sent and session.closed is True
    result = app.return_value
    assert result is not None and result.code == 0
    assert "20261123-134558-ab12" in result.lines[0] and "step 300" in result.lines[1]
    word = "stopped" if Stop in sent else "training goes on" if state == "RUNNING" or Run in sent else "paused"
    assert result.lines[1].startswith(f"result  {word} at step 300, loss 0.")
    assert result.lines[-1] == f"again   bptui {'open' if Stop in sent else 'attach'} 20261123-134558-ab12"


async def test_enter_is_taken_before_the_list_has_the_focus() -> None:
    session = FakeSession([*story(SPEC), status("RUNNING", 300)])
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("q")
        await until(pilot, lambda: "What shall become of it?" in text(app))
        app.screen.set_focus(None)
        await pilot.press("enter")
        await until(pilot, lambda: not app.is_running)
    assert session.sent == [] and session.closed is True


@pytest.mark.parametrize("keys_pressed", [["escape"], ["end", "enter"]])
async def test_one_can_stay(keys_pressed: list[str]) -> None:
    session = FakeSession([*story(SPEC), status("RUNNING", 300)])
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("q")
        await until(pilot, lambda: "What shall become of it?" in text(app))
        await pilot.press(*keys_pressed)
        await until(pilot, lambda: app.screen is app.main)
        assert app.is_running and session.closed is None


# -- what happens to the connection ----------------------------------------------------------------
async def test_a_lost_connection_is_stale_and_comes_back() -> None:
    session, again = FakeSession(story(SPEC)), FakeSession(story(SPEC, 320))
    asked = asyncio.Event()

    async def connect(directory: Path) -> FakeSession:
        if not asked.is_set():
            asked.set()
            raise ConnectionLost("the hub does not answer")
        return again

    async with shown(session, SPEC, connect=connect) as (app, pilot):
        session.put(ConnectionLost("reset by peer"))
        await until(pilot, lambda: "STALE" in lines(app)[0] and "connection lost" in text(app))
        await until(pilot, lambda: "PAUSED" in lines(app)[0] and "step 320" in lines(app)[0])
        await until(pilot, lambda: "connection lost" not in text(app))


async def test_goodbye_ends_the_run_and_says_so() -> None:
    session = FakeSession([*story(SPEC), status("RUNNING", 300)])
    async with shown(session, SPEC) as (app, pilot):
        session.put(messages_frame("the trainer was killed"))
        session.put(END)
        await until(pilot, lambda: "STALE" in lines(app)[0] and "the trainer was killed" in text(app))
        await pilot.press("space")
        await until(pilot, lambda: "the run has ended" in lines(app)[-1])
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)


def messages_frame(reason: str) -> Any:
    from bptui.protocol.framing import Frame

    return Frame(messages.Goodbye(reason=reason))


async def test_a_run_from_files_says_that_nothing_runs() -> None:
    session = FakeSession([*story(SPEC), status("DONE", 900, controller=False)], read_only=True)
    async with shown(session, SPEC) as (app, pilot):
        assert "from files" in lines(app)[0]
        await pilot.press("space")
        await until(pilot, lambda: "shown from its files" in lines(app)[-1])
        await pilot.press("i")
        await until(pilot, lambda: "no process to ask" in lines(app)[-1])
        assert session.sent == []


async def test_a_trainer_that_cannot_begin_ends_the_app_with_its_line_and_2() -> None:
    session = FakeSession()
    launches = Launches()
    async with shown(session, SPEC, **launches.options) as (app, pilot):
        session.put(status("FAILED", 0, code=2, text="digits: no such data"))
        await until(pilot, lambda: not app.is_running)
    result = app.return_value
    assert result is not None and (result.code, result.lines) == (2, ("digits: no such data",))
    assert result.discard == (session.directory,)


async def test_an_edit_that_cannot_begin_keeps_the_app_and_says_why() -> None:
    launches = Launches()
    async with shown(FakeSession(story(SPEC)), SPEC, **launches.options) as (app, pilot):
        await pilot.press("R")
        await until(pilot, lambda: launches.sessions and "READY" in lines(app)[0])
        launches.sessions[0].put(status("FAILED", 0, code=2, text="it does not fit"))
        await until(pilot, lambda: "FAILED" in lines(app)[0] and "it does not fit" in text(app))
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
    assert app.return_value is not None and app.return_value.discard == (Path("/runs/new-1"),)


async def test_a_session_that_cannot_be_opened_ends_with_2_and_one_line() -> None:
    session = FakeSession()
    session.fail = ConnectionLost("the hub does not answer\nmore")
    from bptui.tui.app import BptuiApp

    async def opened() -> FakeSession:
        return session

    app = BptuiApp(opened, title="digits", experiment=SPEC)
    async with app.run_test() as pilot:
        await until(pilot, lambda: not app.is_running)
    assert app.return_value is not None
    assert (app.return_value.code, app.return_value.lines) == (2, ("the hub does not answer",))


async def test_a_failed_training_gives_its_own_status() -> None:
    session = FakeSession([model_info(SPEC), status("FAILED", 40, code=1, text="the loss is not finite")])
    async with shown(session, SPEC) as (app, pilot):
        await settle(app, pilot)
        assert "the loss is not finite" in text(app)
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
    assert app.return_value is not None and app.return_value.code == 1


def test_importing_the_app_loads_neither_numpy_nor_torch() -> None:
    code = (
        "import sys, bptui.tui.app, bptui.tui.screens.builder.screen, bptui.tui.screens.inspector; "
        "print([name for name in ('numpy', 'torch', 'bptui.engine', 'bptui.data') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
