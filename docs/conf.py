"""Sphinx: the documentation as a site, built offline by `make docs`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import charts  # noqa: E402
import generate  # noqa: E402

import headstart  # noqa: E402

os.environ.setdefault("HF_HUB_OFFLINE", "1")

project = "Headstart"
author = "the Headstart developers"
project_copyright = "the Headstart developers, Apache-2.0"
version = release = headstart.__version__

extensions = ["myst_parser", "sphinx_gallery.gen_gallery"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "tutorials", "sg_execution_times.rst", "gallery/*/sg_execution_times.rst"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "Headstart"
html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["site.css"]

sphinx_gallery_conf = {
    "examples_dirs": "tutorials",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "image_scrapers": (),
    "reset_modules": (),
    "abort_on_example_error": True,
    "show_signature": False,
    "plot_gallery": "True",
}


def setup(_: object) -> None:
    """Write the pages that follow from code and results before Sphinx looks for sources."""
    generate.write(HERE / "generated")
    charts.write(HERE / "speed.svg")
