"""Sphinx on the committed notebooks, never run again; `tools/make_site.py` prepares the sources."""

import json
from pathlib import Path

from myst_nb.core.render import NbElementRenderer

HERE = Path(__file__).parent
ADDRESS = json.loads((HERE / "address.json").read_text(encoding="utf-8"))["repository"]

project = html_title = "Matrix factorization, hands on"
author = "The mflib developers"
copyright = f"{author}. Text and figures CC BY 4.0, code BSD 3-Clause."
language = "en"
extensions = ["myst_nb", "sphinx_design"]
exclude_patterns = ["_build", "**/full/*", "**/empty/*"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True
mathjax_path = "mathjax/tex-mml-chtml.js"
html_theme = "sphinx_book_theme"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["panel.css", "course.css"]
html_js_files = [("explorers.js", {"defer": "defer"})]
html_theme_options = {
    "home_page_in_toc": True,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navbar_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
if ADDRESS:
    html_theme_options |= {"repository_url": ADDRESS, "use_issues_button": True}
html_context = {"default_mode": "auto"}
html_copy_source = False


def carry_alternative_texts(render_image):
    """Wrap the renderer of pictures, which forgets the text that a notebook stores with each."""

    def render(self, data):
        nodes = render_image(self, data)
        about = data.output_metadata.get(data.mime_type, {})
        for node in nodes:
            for image in node.findall(lambda n: n.tagname == "image"):
                image["alt"] = about.get("alt", "")
        return nodes

    return render


NbElementRenderer.render_image = carry_alternative_texts(NbElementRenderer.render_image)
