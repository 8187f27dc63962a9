"""The environments of conda and of Binder say the same as pyproject.toml, and versions agree."""

import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import mflib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WHOLE, LEAN = (
    yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))["dependencies"]
    for name in ("environment.yml", ".binder/environment.yml")
)
both = pytest.mark.parametrize("listed", [WHOLE, LEAN], ids=["conda", "binder"])


def packages(listed):
    return {entry for entry in listed if isinstance(entry, str)} - {"pip"}


@pytest.mark.parametrize(
    ("listed", "parts"),
    [(WHOLE, ["lab", "test"]), (LEAN, ["lab"])],
    ids=["conda", "binder without tests"],
)
def test_the_same_packages_with_the_same_bounds(listed, parts):
    extras = PROJECT["optional-dependencies"]
    wanted = {*PROJECT["dependencies"], *sum((extras[part] for part in parts), [])}
    (python,) = (name for name in packages(listed) if name.startswith("python="))
    assert packages(listed) - {python} == wanted


@both
def test_python_is_written_as_binder_reads_it(listed):
    """Binder's repo2docker takes only python=X.Y; anything else silently becomes another Python."""
    (version,) = (name[7:] for name in packages(listed) if name.startswith("python="))
    assert re.fullmatch(r"3\.\d+", version)
    assert SpecifierSet(PROJECT["requires-python"]).contains(version)


def test_conda_installs_the_package_itself_by_pip():
    assert {"pip": ["-e ."]} in WHOLE


def test_binder_installs_the_package_and_makes_the_copies_that_its_links_open():
    """In .binder a path in environment.yml would mean that folder; postBuild runs in the root."""
    assert [entry for entry in LEAN if not isinstance(entry, str)] == []
    assert not (ROOT / "binder").exists()  # either folder would hide the other
    file = ROOT / ".binder/postBuild"
    assert os.name == "nt" or os.access(file, os.X_OK)
    text = file.read_bytes()
    assert text.startswith(b"#!")
    assert b"\r" not in text
    lines = text.decode().splitlines()
    install = lines.index("python -m pip install --no-deps --editable .")
    assert install < lines.index("python tools/make_copies.py")
    assert "set -e" in lines[:install]


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


def test_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest, date = re.search(r"(?m)^## ([\d.]+) \(([\d-]+)\)$", changes).groups()
    versions = {PROJECT["version"], mflib.__version__, citation["version"], newest}
    assert len(versions) == 1
    assert date == str(citation["date-released"])


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda p: p.stem)
def test_what_github_reads_is_complete(path):
    text = path.read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    if path.parent.name == "workflows":
        targets = re.findall(r"(?m)\bmake ([\w -]+)", text)
        rules = re.findall(r"(?m)^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"))
        assert {target for line in targets for target in line.split()} <= {*rules, "PYTHON"}
        assert targets
        return
    assert {"name", "description", "body"} <= set(content)
    for field in content["body"]:
        assert field["type"] in ("input", "textarea", "dropdown")
        assert field["attributes"]["label"]
    assert any(field.get("validations") == {"required": True} for field in content["body"])
