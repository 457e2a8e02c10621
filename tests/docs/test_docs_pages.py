"""The documentation: its links, its generated parts, a page for each preset."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import msgspec
import pytest
from making import measure, pages, preset_pages, reference
from making.blocks import content, filled, names

from bptui.expr import language
from bptui.runs.paths import runs_root
from bptui.spec import experiment
from bptui.spec.load import load, presets

ROOT = Path(__file__).resolve().parents[2]
MARKDOWN = sorted(
    path for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "datasets").rglob("*.md")]
)  # fmt: skip
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_SHELL = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def anchor(heading: str) -> str:
    """As web sites that show Markdown make it: lower case, no punctuation, dashes for spaces."""
    text = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return text.replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return {anchor(match) for match in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = _CODE.sub("", page.read_text("utf-8"))
    for target in _LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, place = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name}: no {path}"
        if place:
            assert place in anchors(there), f"{page.name}: no heading #{place} in {there.name}"


@pytest.mark.parametrize("page", pages.pages(), ids=lambda page: str(page.relative_to(pages.DOCS)))
def test_parts_read_off_code_and_measurements_are_up_to_date(page: Path) -> None:
    text = page.read_text("utf-8")
    slow = {words: content(text, *words) for words in names(text) if words[0] in pages.SLOW}
    makers = {**pages.FAST, **{name: lambda *words, name=name: slow[name, *words] for name in pages.SLOW}}
    assert filled(text, makers) == text, "run: make docs"


def test_pictures_are_up_to_date_and_well_formed() -> None:
    for name, picture in preset_pages.pictures().items():
        assert (pages.DOCS / name).read_text("utf-8") == picture, "run: make docs"
        ElementTree.fromstring(picture)
        assert "nan" not in picture and "http" not in picture.replace("http://www.w3.org/2000/svg", "")


def test_every_preset_has_its_page_and_every_page_its_preset() -> None:
    written = {path.stem for path in (pages.DOCS / "presets").glob("*.md")} - {"README"}
    assert written == set(presets())
    for name in presets():
        text = (pages.DOCS / "presets" / f"{name}.md").read_text("utf-8")
        assert {("toml", name), ("figures", name), ("curve", name)} <= set(names(text))


@pytest.mark.parametrize("name", sorted(presets()))
def test_what_was_measured_is_of_the_variants_there_are(name: str) -> None:
    variants = {variant.name for variant in load(name).variant} | set(measure.EXTRA.get(name, ()))
    found = set(measure.read(name)["runs"]) - {""}
    assert found == variants, f"run: python docs/make.py measure {name}"


def test_every_key_of_an_experiment_file_is_explained() -> None:
    whole = (experiment.Spec, experiment.Experiment)
    found = [item for item in vars(experiment).values() if isinstance(item, type) and item not in whole]
    structs = [item for item in found if issubclass(item, experiment.Spec)]
    assert len(structs) > 20
    for struct in structs:
        for field in msgspec.structs.fields(struct):
            assert reference.documented(struct).get(field.name), f"{struct.__name__}.{field.name}: write its docstring"


def test_every_table_of_an_experiment_stands_in_its_reference() -> None:
    text = (pages.DOCS / "experiments.md").read_text("utf-8")
    for field in experiment.Experiment.__struct_fields__:
        assert f"## `[{field}]`" in text or f"## `[[{field}]]`" in text
    for loss in ("cross_entropy", "mse", "adamw", "plateau"):
        assert f'### `name = "{loss}"`' in text
    for name in reference.presets_list():
        assert name[1], "a preset without a description"


def test_conditions_in_the_docs_can_be_parsed_and_say_what_the_page_says() -> None:
    text = (pages.DOCS / "conditions.md").read_text("utf-8")
    shown = re.findall(r"--until '([^']+)'", text)
    assert len(shown) >= 4
    for condition in shown:
        language.parse(condition)
    assert set(reference.SCALAR_WORDS) == set(language.SCALARS)
    assert set(reference.FUNCTION_WORDS) == set(language.FUNCTIONS)
    unknown: dict[str, float | None] = {"val_loss": None, "step": 1000.0, "loss": float("nan")}
    assert language.parse("val_loss < 0.1 or step >= 1000").holds(unknown)
    assert not language.parse("not (val_loss < 0.1)").holds(unknown)
    assert not language.parse("loss < 1 or loss > 1").holds(unknown)
    assert language.parse("not is_finite(loss)").holds(unknown)
    assert language.parse("not loss < 1 and step > 10").holds({"loss": 2.0, "step": 11.0})
    with pytest.raises(language.ConditionError):
        language.parse("0.1 < loss < 0.2")


def test_commands_in_the_docs_exist() -> None:
    commands = {path.stem for path in (ROOT / "bptui" / "commands").glob("*.py")}
    seen = 0
    for page in pages.pages():
        text = page.read_text("utf-8")
        words = re.findall(r"^bptui (?:train )?([a-z][a-z0-9-]*)", "\n".join(_SHELL.findall(text)), re.MULTILINE)
        words += re.findall(r"`bptui (?:train )?([a-z][a-z0-9-]*)", text)
        seen += len(words)
        for name in words:
            assert name in presets() or name in commands, f"{page.name}: bptui {name}"
    assert seen > 40


def test_files_of_a_run_and_keys_of_its_report_are_all_described(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    words = ["train", "xor", "--epochs", "1", "--quiet", "--report", str(report)]
    subprocess.run([sys.executable, "-m", "bptui", *words], check=True, capture_output=True)
    text = (pages.DOCS / "runs.md").read_text("utf-8")
    content = json.loads(report.read_text("utf-8"))
    for key in content:
        assert f"`{key}`" in text, key
    for path in (runs_root() / content["run"]).iterdir():
        assert f"`{path.name}{'/' if path.is_dir() else ''}`" in text, path.name


def test_measured_files_are_small_and_hold_no_path() -> None:
    for path in measure.MEASURED.glob("*.json"):
        text = path.read_text("utf-8")
        assert len(text) < 64_000
        json.loads(text)
        assert "/home" not in text and "/tmp" not in text


def test_mnist_presets_reach_what_their_pages_say() -> None:
    def median(name: str) -> float:
        row = measure.read(name)["runs"][""]
        return preset_pages.band(row["values"]["test_accuracy"]).median

    assert median("mnist") >= 0.98
    assert median("mnist-plain") >= 0.97
