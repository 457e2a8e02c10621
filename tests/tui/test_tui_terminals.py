"""Every terminal: ASCII, themes, settings, notices, the clipboard, and places that are copied and opened."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fake_session import DIRECTORY, FakeSession, experiment, finding, model_info, status, story
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from screen_text import SIZES, lines, settle, shown, text, until

from bptui.client.reference import QUANTITIES, VIEWS, Reference, ReferenceProblem, is_reference, parse
from bptui.protocol.framing import Frame
from bptui.protocol.messages import Findings, GoTo
from bptui.tui import keys
from bptui.tui.app import BptuiApp
from bptui.tui.config import ConfigError, ScreenConfig, config_path, read_config, remember
from bptui.tui.notices import BELL, Attention, desktop, happened, sequence
from bptui.tui.plain import cells, spell
from bptui.tui.store import Snapshot
from bptui.tui.themes import COLOUR_BLIND, OWN, UnknownTheme, theme_name
from bptui.tui.words import PANES
from bptui.tui.words import QUANTITIES as WORDS

SPEC = experiment()
RUN = DIRECTORY.name


async def _never(directory: Path) -> FakeSession:
    raise AssertionError(f"nothing connects to {directory}")


# -- ASCII -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_ascii_is_ascii_on_every_screen(size: tuple[int, int]) -> None:
    spec = experiment((32, 16, 10), ["一二三", "Größe", ""])
    frames = [*story(spec), status("PAUSED", 300, text="angehalten: ‖∇W‖ → ∞", micro="backward Größe")]
    options = {"relaunch": lambda _: Path("/runs/x"), "connect": _never}
    async with shown(FakeSession(frames), spec, size, glyphs="ascii", **options) as (app, pilot):
        places = [(), ("1", "question_mark"), ("2", "question_mark"), ("3", "question_mark"), ("4", "question_mark"),
                  ("f",), ("t",), ("e",), ("q",), ("colon",), ("i",), ("i", "tab"), ("i", "question_mark"), ("z",),
                  ("h",), ("y",), ("v",), ("g",)]  # fmt: skip
        for presses in places:
            await pilot.press(*presses)
            await settle(app, pilot)
            beyond = {character for line in lines(app) for character in line if not character.isascii()}
            assert beyond == set(), presses
            while app.screen is not app.main:
                await pilot.press("escape")
                await settle(app, pilot)


@given(st.text(max_size=60))
def test_ascii_keeps_the_width_of_every_text(given_text: str) -> None:
    kept = "".join(character for character in given_text if character.isprintable())
    assert cells(kept).isascii() and spell(kept).isascii()
    assert cell_len(cells(kept)) == sum(cell_len(character) for character in kept)


def test_formulas_are_spelled_out() -> None:
    assert spell("δˡ = (δˡ⁺¹ Wˡ⁺¹ᵀ) ⊙ g′(zˡ)") == "delta[l] = (delta[l+1] W[l+1].T) * g'(z[l])"
    assert spell("∂L/∂Wˡ = aˡ⁻¹ᵀ δˡ") == "dL/dW[l] = a[l-1].T delta[l]"
    for words in [*PANES.values(), *(part for row in WORDS.values() for part in row)]:
        assert spell(words).isascii() and "?" not in spell(words).replace("bptui?", "")


# -- themes ----------------------------------------------------------------------------------------
def test_themes_are_found_by_their_names() -> None:
    assert [theme_name(name, {}) for name in ("auto", "", "dark", "light", "colour-blind", "nord")] == [
        "bptui-dark", "bptui-dark", "bptui-dark", "bptui-light", "bptui-colour-blind", "nord",
    ]  # fmt: skip
    assert theme_name("auto", {"COLORFGBG": "0;15"}) == "bptui-light"
    assert theme_name("auto", {"COLORFGBG": "15;default;0"}) == "bptui-dark"
    with pytest.raises(UnknownTheme, match="did you mean 'light'"):
        theme_name("ligth")


def _linear(colour: str) -> tuple[float, float, float]:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)  # type: ignore[return-value]


def _luminance(rgb: tuple[float, float, float]) -> float:
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]


@pytest.mark.parametrize("theme", OWN, ids=lambda theme: theme.name)
def test_every_colour_can_be_read_on_its_background(theme) -> None:  # type: ignore[no-untyped-def]
    ground = _luminance(_linear(theme.background))
    for colour in (theme.primary, theme.secondary, theme.warning, theme.error, theme.success, theme.foreground):
        one = _luminance(_linear(colour))
        assert (max(one, ground) + 0.05) / (min(one, ground) + 0.05) >= 4.5, colour


#: Machado, Oliveira and Fernandes (2009), severity 1: what of linear RGB is left to see.
_SEEN = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}


@pytest.mark.parametrize("kind", _SEEN)
def test_the_colour_blind_theme_keeps_its_colours_apart(kind: str) -> None:
    roles = [COLOUR_BLIND.primary, COLOUR_BLIND.warning, COLOUR_BLIND.error, COLOUR_BLIND.success]
    seen = []
    for colour in roles:
        rgb = _linear(str(colour))
        left = [min(1.0, max(0.0, sum(w * c for w, c in zip(row, rgb, strict=True)))) for row in _SEEN[kind]]
        seen.append([c ** (1 / 2.2) for c in left])
    for index, one in enumerate(seen):
        for other in seen[index + 1 :]:
            assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 > 0.15


async def test_a_chosen_theme_is_remembered() -> None:
    kept: list[tuple[str, str]] = []
    async with shown(FakeSession(story(SPEC)), SPEC, remember=lambda *pair: kept.append(pair)) as (app, pilot):
        app.theme = "bptui-light"
        await settle(app, pilot)
        app.theme = "nord"
        await settle(app, pilot)
    assert kept == [("theme", "light"), ("theme", "nord")]


# -- settings --------------------------------------------------------------------------------------
def test_settings_are_read_and_one_line_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert config_path() == tmp_path / "bptui" / "config.toml" and read_config() == ScreenConfig()
    remember("theme", "light")
    assert read_config().theme == "light"
    config_path().write_text('# mine\n[screen]\nglyphs = "block"  # no braille here\ntheme = "dark"\nmouse = false\n')
    remember("theme", "colour-blind")
    assert config_path().read_text() == (
        '# mine\n[screen]\nglyphs = "block"  # no braille here\ntheme = "colour-blind"\nmouse = false\n'
    )
    assert read_config() == ScreenConfig("colour-blind", "block", False, "auto")


@pytest.mark.parametrize(
    ("content", "says"),
    [('[screen]\nthme = "x"', "thme: unknown key; did you mean 'theme'"), ("[screen", "not TOML"),
     ("screen = 3", "table"),
     ('[screen]\nglyphs = "brail"', "expected one of auto, braille"), ("[screen]\nmouse = 1", "expected true or false"),
     ("[scren]", "unknown table"), ('[screen]\nglyphs = ["ascii"]', "expected one of"), (b"\xff\xfe", "not UTF-8")],
)  # fmt: skip
def test_settings_that_cannot_be_are_one_line(content: str | bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError, match=says) as refused:
        read_config(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)
    with pytest.raises(ConfigError):
        remember("theme", "dark", path)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content), "left as it was"


# -- notices ---------------------------------------------------------------------------------------
def _snapshot(state: str, **fields: object) -> Snapshot:
    return Snapshot(state=state, step=900, link="live", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [("RUNNING", _snapshot("DONE"), "the run is done at step 900"),
     ("RUNNING", _snapshot("FAILED", text="not finite"), "the run failed at step 900: not finite"),
     ("RUNNING", _snapshot("PAUSED", text="loss > 3"), "the run stopped at step 900: loss > 3"),
     ("RUNNING", _snapshot("PAUSED"), ""), ("PAUSED", _snapshot("PAUSED", text="x"), ""),
     ("DONE", _snapshot("DONE"), ""),
     ("READY", _snapshot("RUNNING"), ""), ("STARTING", _snapshot("DONE"), "")],
)  # fmt: skip
def test_what_is_worth_a_notice(before: str, after: Snapshot, says: str) -> None:
    assert happened(_snapshot(before), after) == says


@pytest.mark.parametrize(
    ("environment", "choice", "written"),
    [({"TERM_PROGRAM": "iTerm.app"}, "auto", "\x1b]9;bptui: done\x1b\\" + BELL),
     ({"TERM": "foot"}, "auto", "\x1b]777;notify;bptui;done\x1b\\" + BELL), ({"TERM": "xterm-256color"}, "auto", BELL),
     ({"TERM": "foot"}, "bell", BELL), ({"TERM": "foot"}, "off", ""),
     ({"TERM": "xterm"}, "desktop", "\x1b]9;bptui: done\x1b\\" + BELL),
     ({"TMUX": "1", "WEZTERM_PANE": "0"}, "auto", "\x1bPtmux;\x1b\x1b]9;bptui: done\x1b\x1b\\\x1b\\" + BELL),
     ({"STY": "1", "VTE_VERSION": "7000"}, "auto", "\x1bP\x1b]777;notify;bptui;done\a\x1b\\" + BELL),
     ({"KITTY_WINDOW_ID": "1", "TERM": "xterm-kitty"}, "auto",
      "\x1b]99;i=bptui:d=0;bptui\x1b\\\x1b]99;i=bptui:d=1:p=body;done\x1b\\" + BELL),
     ({"WT_SESSION": "x"}, "auto", "\x1b]777;notify;bptui;done\x1b\\" + BELL)],
)  # fmt: skip
def test_each_terminal_gets_what_it_takes(environment: dict[str, str], choice: str, written: str) -> None:
    assert sequence("done", choice, environment) == written  # type: ignore[arg-type]


def test_a_notice_carries_no_sequence_of_its_own() -> None:
    text = "9;4;1\x1b]52;c;AAAA\x07b;c\n"
    said = sequence(text, "desktop", {})
    assert said.count("\x1b") == 2 and said.count("\a") == 1 and said.count(";") == 1 and "]9;bptui: 9," in said
    said = sequence(text, "auto", {"KITTY_WINDOW_ID": "1"})
    assert said.count("\x1b") == 4 and said.count("\a") == 1 and said.count(";") == 4
    assert desktop({}) == ""


def test_without_focus_reports_a_key_is_a_look() -> None:
    now = 100.0
    attention = Attention(lambda: now)
    assert not attention.elsewhere
    now = 111.0
    assert attention.elsewhere
    attention.key()
    assert not attention.elsewhere
    attention.focus(False)
    assert attention.elsewhere
    attention.focus(True)
    now = 1e6
    assert not attention.elsewhere


async def test_the_end_is_told_while_one_looks_elsewhere_and_not_else() -> None:
    session = FakeSession([*story(SPEC), status("RUNNING", 300)])
    async with shown(session, SPEC) as (app, pilot):
        written: list[str] = []
        app._driver.write = written.append  # type: ignore[union-attr, method-assign, assignment]
        session.put(status("DONE", 900))
        await until(pilot, lambda: "DONE" in lines(app)[0])
        assert BELL not in "".join(written)
        session.put(status("RUNNING", 900))
        await until(pilot, lambda: "RUNNING" in lines(app)[0])
        app.post_message(_blur())
        await pilot.pause()
        session.put(status("DONE", 1800))
        await until(pilot, lambda: BELL in "".join(written))


def _blur() -> object:
    from textual.events import AppBlur

    return AppBlur()


async def test_done_says_what_happened_and_three_things_to_try() -> None:
    ended = FakeSession([*story(SPEC), status("DONE", 300)])
    async with shown(ended, SPEC, (80, 24)) as (app, pilot):
        assert lines(app)[1] == " ✔ 300 steps, loss 0.642, val 96.4 %. space trains on, f findings, e edits"
        await pilot.resize_terminal(120, 36)
        await until(pilot, lambda: lines(app)[1].startswith(" ✔ 300 steps, loss 2."))
        assert lines(app)[1].endswith("→0.642, val 96.4 %. space trains on, f findings, e edits")


# -- places ----------------------------------------------------------------------------------------
async def test_copy_gives_the_place_and_its_value() -> None:
    session = FakeSession(story(SPEC))
    async with shown(session, SPEC) as (app, pilot):
        copied: list[str] = []
        app.copy_to_clipboard = copied.append  # type: ignore[method-assign, assignment]
        for presses in (("3", "down", "Y"), ("1", "Y"), ("2", "Y"), ("4", "Y")):
            await pilot.press(*presses)
            await settle(app, pilot)
            assert f"copied {copied[-1]}"[:100] in lines(app)[-1]
        await pilot.press("i")
        await until(pilot, lambda: "delta[0, 0] = " in text(app))
        await pilot.press("down", "right", "Y")
        await settle(app, pilot)
    assert copied[0].startswith(f"{RUN}@300/dense2/grad_W = norm of grad_W 1.5e-2, update/W 5.5e-4, dead 14/16")
    assert copied[1] == f"{RUN}@300/dense2 = 32 to 16 relu, 528 parameters"
    assert copied[2].startswith(f"{RUN}@299/loss = 0.")
    assert copied[3] == f"{RUN}@120/dense2 = dead-relu: 14/16 units dead"
    assert copied[4].startswith(f"{RUN}@300/dense2/delta[1,1] = ")
    for line in copied:
        assert parse(line).run == RUN
    assert parse(copied[4]) == Reference(RUN, 300, "dense2", "delta", (1, 1))


@pytest.mark.parametrize(
    ("reference", "says", "selected"),
    [("@300/dense2/W", "Step 300 is the run's last step", "dense2"),
     ("@100/dense3", "At step 100 the loss was", "dense3"),
     ("@100/dense3", "weights and gradients of step 100 are not kept", ""),
     ("@5000/dense1", "There is no step 5,000: the run ends at step 300", "dense1"),
     ("@300/dens2/delta", "There is no layer 'dens2'; nearest: 'dense2'.", "dense1"),
     ("@300/dense2/delta[3,5]", "Single values of delta are not in the files", "dense2"),
     ("@300/loss", "the run's last step", "")],
)  # fmt: skip
async def test_a_place_is_opened_and_what_is_not_there_is_said(reference: str, says: str, selected: str) -> None:
    at = parse(RUN + reference)
    async with shown(FakeSession(story(SPEC), read_only=True), SPEC, (200, 60), at=at) as (app, pilot):
        await until(pilot, lambda: app._notifications)
        (said,) = app._notifications
        assert said.title == RUN + reference and says in said.message
        await until(pilot, lambda: says.split()[0] in text(app))
        if selected:
            assert f"▸ {selected}" in text(app)


async def test_a_place_whose_updates_can_be_done_again_is_gone_to() -> None:
    session = FakeSession(story(SPEC), read_only=True)
    session.past = True
    async with shown(session, SPEC, (200, 60), at=parse(f"{RUN}@100/dense2/delta")) as (app, pilot):
        await until(pilot, lambda: app._notifications)
        (said,) = app._notifications
        assert said.message == "Shown is step 100 of 300." and session.sent == [GoTo(step=100)]
        await settle(app, pilot)
        top = next(line for line in text(app).splitlines() if "2 Loss" in line)
        assert "step 100" in text(app).splitlines()[0] and " step 100 ─ train " in top and "▸ dense2" in text(app)
        await pilot.press("s")
        await until(pilot, lambda: "step 101" in text(app).splitlines()[0])


@pytest.mark.parametrize(
    ("reference", "shows"),
    [("W[3,5]", "W[3, 5] = "), ("b[7]", "b[7] = "), ("W[900,5]", "there is no cell [900, 5]: W is 32 × 16"),
     ("b[77]", "there is no cell [77]: b is 16")],
)  # fmt: skip
async def test_a_cell_is_opened_in_the_inspector(reference: str, shows: str) -> None:
    session = FakeSession(story(SPEC), read_only=True)
    session.past = True
    async with shown(session, SPEC, (120, 36), at=parse(f"{RUN}@100/dense2/{reference}")) as (app, pilot):
        await until(pilot, lambda: shows in text(app))
        if "no cell" not in shows:
            await pilot.press("Y")
            await until(pilot, lambda: f"copied {RUN}@100/dense2/{reference} = " in text(app))


@given(
    st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True), st.integers(0, 10**12),
    st.from_regex(r"[A-Za-z_0-9][A-Za-z0-9_.]{0,20}", fullmatch=True),
    st.sampled_from(["", *QUANTITIES, *VIEWS, "l0.reverse.cell"]),
    st.lists(st.integers(0, 10**6), max_size=4),
)  # fmt: skip
def test_every_place_reads_back_as_itself(run: str, step: int, layer: str, quantity: str, cell: list[int]) -> None:
    place = Reference(run, step, layer, quantity, tuple(cell) if quantity else ())
    assert parse(str(place)) == place and parse(f"{place} = -1.5e-3") == place


@pytest.mark.parametrize(
    ("written", "says"),
    [("@3", "no run before @"), ("run", "there is no @"), ("run@", "expected a step"), ("run@x/dense1", "got 'x'"),
     ("run@3/", "no layer after /"), ("run@3/dense1/delt[1,2]", "did you mean 'delta'"),
     ("run@3/dense1/delta[1,x]", "[3,5]"),
     ("run@3/dense1[2]", "needs a layer and a quantity"), ("run@3/dense1/delta[1", "expected a cell"),
     ("run@-1", "got '-1'")],
)  # fmt: skip
def test_a_place_that_is_none_is_one_line(written: str, says: str) -> None:
    with pytest.raises(ReferenceProblem) as refused:
        parse(written)
    assert says in str(refused.value) and "\n" not in str(refused.value)


@given(st.text(max_size=80))
def test_no_text_breaks_the_reader_of_places(written: str) -> None:
    is_reference(written.replace("\0", ""))
    try:
        assert parse(str(parse(written)))
    except ReferenceProblem as refused:
        assert "\n" not in str(refused) or "\n" in written


# -- help ------------------------------------------------------------------------------------------
async def test_help_names_every_heading_of_the_gradients_and_the_header() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC, (120, 60)) as (app, pilot):
        await pilot.press("3", "question_mark")
        await until(pilot, lambda: "esc closes" in text(app))
        for heading in ("‖∇W‖", "Δ/W", "dead", "bars", "The line above all panes"):
            assert heading in text(app)


@pytest.mark.parametrize("quantity", WORDS)
async def test_help_explains_each_quantity_of_the_inspector(quantity: str) -> None:
    async with shown(FakeSession(story(SPEC)), SPEC, (120, 50)) as (app, pilot):
        await pilot.press("i")
        await until(pilot, lambda: "delta[0, 0]" in text(app))
        app.screen._put_quantity(quantity)  # type: ignore[attr-defined]
        await pilot.press("question_mark")
        await until(pilot, lambda: "esc closes" in text(app))
        assert f"Inspector: {WORDS[quantity][0]}" in text(app)
        assert WORDS[quantity][2].split("  ")[0] in text(app)


async def test_the_palette_has_every_action() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC) as (app, pilot):
        from bptui.tui.commands import KeyCommands

        provider = KeyCommands(app.screen, None)
        names = {str(hit.display) async for hit in provider.discover()}  # type: ignore[union-attr]
        for key in keys.keys_of("main"):
            if key.native:  # a script's alone
                assert f"{key.label}  ({key.shown})" not in names
                continue
            assert key.action == "palette" or f"{key.label}  ({key.shown})" in names
        await pilot.pause()


async def test_a_thousand_units_and_a_hundred_layers_fit() -> None:
    spec = experiment([1000] * 100)
    frames = [model_info(spec), status("PAUSED", 5), Frame(Findings(findings=tuple(finding() for _ in range(300))))]
    async with shown(FakeSession(frames), spec, (80, 24)) as (app, pilot):
        await pilot.press("4", *["down"] * 5, "f")
        await settle(app, pilot)
        assert all(cell_len(line) <= 80 for line in lines(app))


def test_the_app_takes_what_the_command_line_gives() -> None:
    async def opened() -> FakeSession:
        return FakeSession()

    app = BptuiApp(opened, theme="bptui-light", notices="off", glyphs="ascii")
    assert app.theme == "bptui-light"
    assert asyncio.iscoroutinefunction(opened)
