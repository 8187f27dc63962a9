"""Drive notebooks in JupyterLab with headless Chromium (Playwright's synchronous interface)."""

import base64
import contextlib
import ctypes
import io
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Locator, Page, expect

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
FLAGS = [
    "--no-sandbox",  # needed as root, in containers
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--no-first-run",
]
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # every cell in the page, always
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
}
# Nobody debugs here, and a page that is reloaded would cut its questions to the kernel short.
UNUSED = {"disabledExtensions": {"@jupyterlab/debugger-extension": True}}

OPEN_INSTEAD = """async path => {
    const app = window.jupyterapp, shown = app.shell.currentWidget
    await app.commands.execute('docmanager:open', {path})
    shown.dispose() }"""


def _stop_with_parent():
    """On Linux: if the tests are killed, the server is stopped and not left behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class LabServer:
    """JupyterLab on a free port with a random token and none of the user's configuration."""

    def __init__(self, root: Path, timeout: float = 90):
        self.root = root
        self.folder = Path(tempfile.mkdtemp(prefix="jupyterlab-"))
        self.token = secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        for name, value in SETTINGS.items():
            file = self.folder / "settings/@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(value))
        file = self.folder / "config/labconfig/page_config.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(UNUSED))
        self.log = self.folder / "server.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                self._command(root, port),
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_stop_with_parent if sys.platform == "linux" else None,
            )
        self._wait(timeout)

    def _command(self, root, port):
        return [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={root}",
            f"--IdentityProvider.token={self.token}",
            "--LabApp.expose_app_in_browser=True",
            f"--LabApp.user_settings_dir={self.folder / 'settings'}",
            f"--LabApp.workspaces_dir={self.folder / 'workspaces'}",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            "--LabApp.news_url=",
        ]

    def _environment(self):
        folders = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "run",
            "IPYTHONDIR": "ipython",
        }
        own = {name: str(self.folder / folder) for name, folder in folders.items()}
        # Without Java, as most learners have it: lesson 7 says so, and goes on.
        path = [str(Path(sys.executable).parent), *os.environ["PATH"].split(os.pathsep)]
        own["PATH"] = os.pathsep.join(one for one in path if not shutil.which("java", path=one))
        own["LOKY_MAX_CPU_COUNT"] = "1"  # else joblib asks lscpu, which may have gone with Java
        return {name: x for name, x in os.environ.items() if name != "JAVA_HOME"} | own

    def _wait(self, timeout):
        end = time.monotonic() + timeout
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while True:
            address = f"{self.address}/api/status?token={self.token}"
            with contextlib.suppress(OSError), direct.open(address, timeout=2):
                return
            if self.process.poll() is not None or time.monotonic() > end:
                log = self.log.read_text()[-4000:]
                self.stop()
                raise RuntimeError(f"JupyterLab did not start:\n{log}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server and its kernels, and remove its files."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Notebook:
    """A notebook open in JupyterLab's single-document view."""

    def __init__(self, page: Page, server: LabServer, path: str, timeout: float = 90_000):
        self.page, self.server, self.path = page, server, path
        if page.url.startswith(server.address):
            page.evaluate(OPEN_INSTEAD, path)
        else:
            page.goto(f"{server.address}/doc/tree/{path}?token={server.token}")
        self._wait(timeout)

    def reload(self, timeout: float = 90_000) -> None:
        """Load the page again; the kernel lives on."""
        self.page.reload()
        self._wait(timeout)

    def _wait(self, timeout):
        self.page.wait_for_function(
            """() => { const panel = window.jupyterapp?.shell?.currentWidget;
                return !!panel?.content?.model && panel.context?.isReady
                    && panel.sessionContext?.session?.kernel?.status === 'idle' }""",
            timeout=timeout,
        )

    def run_all(self, timeout: float = 180_000) -> "Notebook":
        """Run every cell and return when the last is done."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        self.page.wait_for_function(
            """() => { const panel = window.jupyterapp.shell.currentWidget;
                return panel.sessionContext.session.kernel.status === 'idle'
                    && panel.content.widgets.every(cell => cell.model.type !== 'code'
                        || !cell.model.sharedModel.getSource().trim()
                        || cell.model.executionCount !== null) }""",
            timeout=timeout,
        )
        return self

    def save_and_reopen(self) -> "Notebook":
        """Save the notebook, stop its kernel, and open it again: the next day."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        self.close()
        self.page.goto("about:blank")
        return Notebook(self.page, self.server, self.path)

    def outputs(self) -> list[dict]:
        """Return all outputs of all cells."""
        return self.page.evaluate(
            """() => window.jupyterapp.shell.currentWidget.content.widgets
                .filter(cell => cell.model.type === 'code')
                .flatMap(cell => cell.model.outputs.toJSON())"""
        )

    def explorers(self, count: int) -> "list[ExplorerPage]":
        """Return the explorers of the notebook in order, once as many as expected are there."""
        panels = self.page.locator(".mflib-explorer")
        expect(panels).to_have_count(count)
        return [ExplorerPage(self.page, panels.nth(i)) for i in range(count)]

    def shows(self, selector: str, count: int, text: str = "") -> None:
        """Wait until this many elements of the page match, and contain the text."""
        found = self.page.locator(selector, has_text=text)
        expect(found).to_have_count(count, timeout=30_000)

    def close(self) -> None:
        """Shut the kernel down, so that its memory is free for the next notebook."""
        with contextlib.suppress(PlaywrightError):
            self.page.evaluate(
                "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()"
            )


class ExplorerPage:
    """One explorer as a learner meets it: controls with names, a picture, a sentence."""

    def __init__(self, page: Page, panel: Locator):
        self.page = page
        self.panel = panel
        self.status = panel.get_by_role("status")
        self.picture = panel.get_by_role("img")

    def box(self, label: str) -> Locator:
        """Return the box of a number with this accessible name."""
        return self.panel.get_by_role("textbox", name=label, exact=True)

    def handle(self, label: str) -> Locator:
        """Return the slider with this accessible name."""
        return self.panel.get_by_role("slider", name=label, exact=True)

    def button(self, name: str) -> Locator:
        """Return a button."""
        return self.panel.get_by_role("button", name=name, exact=True)

    def name(self) -> str:
        """Return the name of the explorer's class."""
        return self.panel.get_attribute("data-name")

    def choose(self, label: str, option: str) -> None:
        """Choose an option of a list."""
        self.panel.get_by_role("combobox", name=label, exact=True).select_option(option)

    def press(self, label: str, key: str) -> None:
        """Press a key on a slider."""
        self.handle(label).press(key)

    def type(self, label: str, value) -> None:
        """Type a value into a box."""
        self.box(label).fill(str(value))
        self.page.keyboard.press("Tab")

    def settings(self) -> dict:
        """Return the settings of which the sentence speaks."""
        return json.loads(self.status.get_attribute("data-settings") or "{}")

    def wait_for(self, settings: dict) -> None:
        """Wait until the sentence speaks of these settings; the picture is then there, too."""
        self.page.wait_for_function(
            """([status, wanted]) => {
                const shown = JSON.parse(status.dataset.settings ?? '{}')
                return Object.keys(wanted).every(name => shown[name] === wanted[name]) }""",
            arg=[self.status.element_handle(), settings],
        )

    def says(self, text: str) -> None:
        """Wait until the sentence contains a text (a regular expression)."""
        expect(self.status).to_contain_text(re.compile(text))

    def sentence(self) -> str:
        """Return the state and the sentence."""
        return self.status.inner_text()

    def height(self) -> float:
        """Return the height of controls, picture and sentence together, in pixels of the page."""
        return self.panel.bounding_box()["height"]

    def cut(self) -> list[str]:
        """Return the numbers that do not fit their boxes."""
        return self.panel.evaluate(
            """panel => [...panel.querySelectorAll('input:not([type=range])')]
                .filter(box => box.scrollWidth > box.clientWidth).map(box => box.value)"""
        )

    def pixels(self) -> np.ndarray:
        """Return the picture as height × width × 3."""
        code = "canvas => canvas.toDataURL().split(',')[1]"
        data = base64.b64decode(self.picture.evaluate(code))
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
