"""environment.yml (conda, Binder) says the same as pyproject.toml, in the way Binder reads it."""

import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
REPOSITORY = PROJECT["urls"]["Repository"]


def conda_packages():
    return {entry for entry in CONDA if isinstance(entry, str)}


def test_the_same_packages_with_the_same_bounds():
    extras = PROJECT["optional-dependencies"]
    wanted = {*PROJECT["dependencies"], *extras["lab"], *extras["test"]}
    (python,) = (name for name in conda_packages() if name.startswith("python="))
    assert conda_packages() - {"pip", python} == wanted


def test_python_is_written_as_binder_reads_it():
    """Binder's repo2docker takes only python=X.Y; anything else silently becomes another Python."""
    (version,) = (name[7:] for name in conda_packages() if name.startswith("python="))
    assert re.fullmatch(r"3\.\d+", version)
    assert SpecifierSet(PROJECT["requires-python"]).contains(version)


def test_the_package_itself_comes_by_pip():
    assert {"pip": ["-e ."]} in CONDA
    for folder in ("binder", ".binder"):  # either would hide environment.yml
        assert not (ROOT / folder).exists()


def test_binder_makes_the_copies_that_its_links_open():
    file = ROOT / "postBuild"
    assert os.name == "nt" or os.access(file, os.X_OK)
    text = file.read_bytes()
    assert text.startswith(b"#!")
    assert b"\r" not in text
    assert b"python tools/make_copies.py\n" in text


def test_every_requirement_is_pinned():
    pinned = set(
        re.findall(r"(?m)^([\w.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"))
    )
    requirements = PROJECT["dependencies"] + sum(PROJECT["optional-dependencies"].values(), [])
    assert {re.match(r"[\w.-]+", name)[0].lower() for name in requirements} <= pinned


def test_the_oldest_pins_are_the_versions_that_are_promised():
    pins = dict(
        re.findall(
            r"(?m)^([\w.-]+)==([\w.]+)",
            (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8"),
        )
    )
    requirements = PROJECT["dependencies"] + sum(PROJECT["optional-dependencies"].values(), [])
    for name, floor in (requirement.split(">=") for requirement in requirements):
        # A micro release above the floor may be the first that fits the others.
        assert Version(pins[name]).release[:2] == Version(floor).release[:2], name


@pytest.mark.parametrize("name", ["README.md", "CITATION.cff"])
def test_one_address_of_the_repository(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    addresses = set(re.findall(r"https://github\.com/[\w-]+/[\w-]+", text))
    assert addresses == {REPOSITORY}
    path = REPOSITORY.removeprefix("https://github.com/")
    assert set(re.findall(r"mybinder\.org/v2/gh/([\w-]+/[\w-]+)", text)) <= {path}


def test_every_lesson_has_a_row_with_a_binder_link():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        assert f"(notebooks/{path.name})" in text
        assert f"?labpath=my_course%2F{path.name}" in text
