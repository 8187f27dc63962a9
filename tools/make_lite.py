"""Build the experimental JupyterLite: the learner's copies, and a kernel inside the browser.

    python tools/make_lite.py            (`make lite` fetches Pyodide first)

Pyodide's lock says which wheels an import needs. mflib and what it needs are added to it, so that
no notebook has to install anything. The wheels of pure Python lie in the site. The compiled ones
(NumPy and its like) are in no package registry: the browser gets them from Pyodide's own server, at
the first import.
"""

import json
import shutil
import subprocess
import sys
from hashlib import sha256
from importlib.metadata import requires, version

from jupyterlite_pyodide_kernel.constants import PYODIDE_CDN_URL, PYODIDE_PYTHON_VERSION
from make_copies import update
from make_site import BUILD, HTML, ROOT, SITE, VENDORED
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LITE, BUILT = BUILD / "lite", HTML / "lite"
PYODIDE = LITE / "static/pyodide"  # where JupyterLite looks for it
# What the lock does not know, in the versions of this environment.
ADDED = ("anywidget", "comm", "ipywidgets", "mflib", "pooch", "psygnal")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
PURE = ("--only-binary=:all:", "--platform=any", f"--python-version={PYODIDE_PYTHON_VERSION}")


def added(name: str, known: set[str]) -> dict:
    """Return what the lock shall say of an installed package."""
    wanted = [Requirement(line) for line in requires(name) or []]
    names = {canonicalize_name(r.name) for r in wanted if not r.marker or r.marker.evaluate()}
    return {
        "name": name,
        "version": version(name),
        "file_name": f"{name}-{version(name)}-py3-none-any.whl",
        "imports": [name],
        "depends": sorted(names & known),  # what ipywidgets adds to the page is there already
        "install_dir": "site",
        "package_type": "package",
        "unvendored_tests": False,
    }


def closure(packages: dict[str, dict], *names: str) -> set[str]:
    """Return the names of packages and of all that they depend on."""
    found, new = set(), set(names)
    while new:
        found |= new
        new = {canonicalize_name(n) for name in new for n in packages[name]["depends"]} - found
    return found


def complete(lock: dict) -> None:
    """Add mflib to a lock, get the wheels of pure Python, and say where all others are."""
    packages = lock["packages"]
    packages |= {name: added(name, {*packages, *ADDED}) for name in ADDED}
    # The kernel starts with micropip and jedi, a lesson with mflib.
    needed = [packages[name] for name in closure(packages, "micropip", "jedi", "mflib")]
    pure = [p for p in needed if p["file_name"].endswith("-none-any.whl")]
    pins = [f"{p['name']}=={p['version']}" for p in pure if p["name"] != "mflib"]
    subprocess.run([*PIP, "wheel", "--no-deps", "--wheel-dir", PYODIDE, ROOT], check=True)
    subprocess.run([*PIP, "download", "--no-deps", *PURE, "--dest", PYODIDE, *pins], check=True)
    for package in packages.values():
        if package in pure:
            content = (PYODIDE / package["file_name"]).read_bytes()
            package["sha256"] = sha256(content).hexdigest()
        else:
            package["file_name"] = f"{PYODIDE_CDN_URL}/{package['file_name']}"


def main() -> int:
    """Build JupyterLite and return the exit code of its own builder."""
    for folder in (LITE, BUILT):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SITE / "lite", LITE)
    shutil.copytree(VENDORED / "pyodide", PYODIDE)
    (LITE / "files").mkdir()
    update(ROOT / "notebooks", LITE / "files")
    file = PYODIDE / "pyodide-lock.json"
    lock = json.loads(file.read_text(encoding="utf-8"))
    complete(lock)
    file.write_text(json.dumps(lock), encoding="utf-8")
    command = [sys.executable, "-m", "jupyterlite_core", "build", "--output-dir", BUILT]
    return subprocess.run(command, cwd=LITE, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
