"""Write the address of the repository into every link, or take it out of all.

    python tools/set_address.py https://github.com/OWNER/NAME      (or `make address REPOSITORY=…`)
    python tools/set_address.py https://github.com/OWNER/NAME v0.2.0    Binder opens that tag
    python tools/set_address.py ""                                 nothing links to a repository

The address stands in site/address.json, and from there in the pages of the site. Other files have
marked places, from a line with "address: NAME" to one with "end of address". As long as there is no
address these say what to do in the folder that the reader has.
"""

import json
import re
import sys
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
SETTING = ROOT / "site/address.json"
FILES = [ROOT / name for name in ("README.md", "CITATION.cff", "pyproject.toml")]
GITHUB = "https://github.com/"
MARKED = re.compile(r"(?ms)^([^\n]*\baddress: (\w+)[^\n]*\n)(.*?)(^[^\n]*end of address)")
HERE = "In this folder:\n\n```\nmake lab\n```\n"


def binder(address: dict, notebook: str) -> str:
    """Return the link that opens the learner's copy of a notebook (a path below notebooks/)."""
    path = address["repository"].removeprefix(GITHUB)
    opened = quote(f"my_course/{notebook}", safe="")
    return f"https://mybinder.org/v2/gh/{path}/{address['branch']}?labpath={opened}"


def site(address: dict) -> str:
    """Return where GitHub Pages shows the site of a repository."""
    owner, name = address["repository"].removeprefix(GITHUB).split("/")
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" if name == host else f"https://{host}/{name}/"


def places(address: dict) -> dict[str, str]:
    """Return what each marked place says."""
    repository = address["repository"]
    if not repository:
        return dict.fromkeys(("browser", "issues", "urls", "citation"), "") | {"start": HERE}
    here, folder = site(address), repository.rpartition("/")[2]
    lessons = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    links = ", ".join(f"[{int(name[:2])}]({binder(address, name)})" for name in lessons)
    return {
        "start": f"```\ngit clone {repository}\ncd {folder}\nmake lab\n```\n",
        "browser": f"Without installing anything: [read the website]({here}), or run a lesson on\n"
        f"Binder ({links}), which takes a minute or two to start.\n",
        "issues": "A wrong number, an unclear sentence, an idea for a lesson? "
        f"[Say so]({repository}/issues/new/choose).\n",
        "urls": f'[project.urls]\nHomepage = "{here}"\nRepository = "{repository}"\n'
        f'Issues = "{repository}/issues"\n',
        "citation": f"repository-code: {repository}\nurl: {here}\n",
    }


def written(text: str, address: dict) -> str:
    """Return a file's text with its marked places filled."""
    said = places(address)
    return MARKED.sub(lambda found: found[1] + said[found[2]] + found[4], text)


def checked(repository: str, branch: str = "main") -> dict:
    """Return the setting, if it is an address of a repository."""
    repository = repository.strip().removesuffix("/").removesuffix(".git")
    if repository and not re.fullmatch(GITHUB + r"[\w-]+/[\w.-]+", repository):
        raise SystemExit(f"{repository!r} is no address like {GITHUB}owner/name")
    if not re.fullmatch(r"[\w./-]+", branch):
        raise SystemExit(f"{branch!r} is no name of a branch or a tag")
    return {"repository": repository, "branch": branch}


def main(repository: str, branch: str = "main") -> None:
    """Write the setting and all files."""
    address = checked(repository, branch)
    files = {path: written(path.read_text(encoding="utf-8"), address) for path in FILES}
    for path, text in (files | {SETTING: json.dumps(address) + "\n"}).items():
        path.write_text(text, encoding="utf-8", newline="\n")
    if address["repository"]:
        print(f"All links lead to {address['repository']}")
        print("For the site, choose in its Settings: Pages, Source, GitHub Actions.")
    else:
        print("No link leads to a repository")


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
