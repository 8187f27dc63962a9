"""The address of the repository stands in one place, and no link leads elsewhere."""

import json
import re
import tomllib

import pytest
import set_address
import yaml
from set_address import ROOT, checked, places, site, written

NAMES = ["README.md", "TEACHING.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff"]
TEXTS = [
    *(ROOT / name for name in (*NAMES, "pyproject.toml")),
    *sorted((ROOT / "site").glob("*.md")),
    *sorted((ROOT / ".github").rglob("*.*ml")),
    *sorted((ROOT / "notebooks").rglob("*.ipynb")),
]
LINK = re.compile(r"https://(?:github\.com|mybinder\.org|[\w-]+\.github\.io)[\w./-]*")
SETTING = json.loads(set_address.SETTING.read_text(encoding="utf-8"))
OTHER = checked("https://github.com/Somebody/Factors.git/".removesuffix("/"), "v0.2.0")
NONE = checked("")


def own(address):
    path = address["repository"].removeprefix("https://github.com/")
    return (address["repository"], f"https://mybinder.org/v2/gh/{path}/", site(address))


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_no_link_leads_to_another_repository(path):
    """In a fork and here alike: all links are those of the setting; without one there are none."""
    links = LINK.findall(path.read_text(encoding="utf-8"))
    if SETTING["repository"]:
        links = [link for link in links if not link.startswith(own(SETTING))]
    assert links == []


@pytest.mark.parametrize("path", set_address.FILES, ids=lambda path: path.name)
def test_every_file_says_what_the_setting_says(path):
    text = path.read_text(encoding="utf-8")
    assert text == written(text, SETTING), "run `make address`"


@pytest.mark.parametrize("path", set_address.FILES, ids=lambda path: path.name)
def test_an_address_comes_and_goes_without_a_trace(path):
    text = path.read_text(encoding="utf-8")
    without, with_one = written(text, NONE), written(text, OTHER)
    assert not LINK.search(without)
    assert LINK.search(with_one)
    assert all(link.startswith(own(OTHER)) for link in LINK.findall(with_one))
    assert written(with_one, NONE) == without
    assert written(without, OTHER) == with_one


def test_every_place_is_marked_in_some_file_and_every_mark_is_known():
    marks = [
        name
        for path in set_address.FILES
        for _, name, _, _ in set_address.MARKED.findall(path.read_text(encoding="utf-8"))
    ]
    assert sorted(marks) == sorted(places(NONE)) == sorted(places(OTHER))


@pytest.mark.parametrize("address", [NONE, OTHER], ids=["none", "one"])
def test_the_files_stay_what_they_are(address):
    project, citation = (
        written((ROOT / name).read_text(encoding="utf-8"), address)
        for name in ("pyproject.toml", "CITATION.cff")
    )
    urls = tomllib.loads(project)["project"].get("urls", {})
    assert urls.get("Repository", "") == address["repository"]
    assert yaml.safe_load(citation).get("repository-code", "") == address["repository"]


def test_the_reader_starts_from_the_folder_or_from_a_clone():
    assert "clone" not in places(NONE)["start"]
    assert "git clone https://github.com/Somebody/Factors\ncd Factors\n" in places(OTHER)["start"]


def test_binder_has_a_link_to_the_copy_of_every_lesson():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        link = f"gh/Somebody/Factors/v0.2.0?labpath=my_course%2F{path.name})"
        assert link in places(OTHER)["browser"]


def test_the_site_stands_where_github_puts_it():
    assert site(OTHER) == "https://somebody.github.io/Factors/"
    assert site(checked("https://github.com/Ann/ann.github.io")) == "https://ann.github.io/"


@pytest.mark.parametrize("wrong", ["owner/name", "http://github.com/a/b", "https://github.com/a"])
def test_what_is_no_address_is_refused(wrong):
    with pytest.raises(SystemExit, match="is no address like"):
        checked(wrong)
