"""The wheel, built without network as pip would build it, holds all that the program needs beside its code."""

from __future__ import annotations

import configparser
import email
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import bptui

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("bptui-*.whl")
    return built


def test_everything_of_the_checkout_is_in_the_wheel(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    code = [path for path in (ROOT / "bptui").rglob("*") if path.suffix in (".py", ".toml", ".tcss")]
    wanted = {str(path.relative_to(ROOT)) for path in code}
    shipped = [path for path in (ROOT / "datasets").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    wanted |= {f"bptui/_datasets/{path.relative_to(ROOT / 'datasets')}" for path in shipped}
    assert {"bptui/tui/app.tcss", "bptui/spec/presets/digits.toml", "bptui/_datasets/digits/digits.csv.gz"} <= wanted
    assert wanted | {"bptui/py.typed"} <= inside
    assert {name.partition("/")[0] for name in inside} == {"bptui", f"bptui-{bptui.__version__}.dist-info"}


def test_torch_is_only_an_extra(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    information = f"bptui-{bptui.__version__}.dist-info"
    metadata = email.message_from_string(archive.read(f"{information}/METADATA").decode())
    lines = metadata.get_all("Requires-Dist", [])
    required = [line for line in lines if "extra ==" not in line]
    assert sorted(line.split(">")[0].split("<")[0] for line in required) == [
        "msgspec", "numpy", "rich", "safetensors", "textual",
    ]  # fmt: skip
    assert any(line.startswith("torch") and "extra == 'torch'" in line for line in lines)
    scripts = configparser.ConfigParser()
    scripts.read_string(archive.read(f"{information}/entry_points.txt").decode())
    assert scripts["console_scripts"]["bptui"] == "bptui.cli:main"


def test_an_installed_wheel_finds_its_presets_and_data(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    program = """
import bptui
from bptui.data.places import shipped
from bptui.spec.load import presets
print(bptui.__file__)
print((shipped() / "digits" / "digits.csv.gz").read_bytes()[:2].hex(), "digits" in presets())
"""
    env = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    where, found = done.stdout.splitlines()
    assert where.startswith(str(tmp_path))
    assert found == "1f8b True"
