"""CONTRIBUTING has a recipe for each family of plug-ins, and each recipe names one file to write."""

from __future__ import annotations

import re

import pytest

from package_source import PLUGIN_FOLDERS, ROOT

RECIPES = re.findall(r"^### (.+?)\n(.+?)(?=^##|\Z)", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE | re.DOTALL)
TO_WRITE = re.compile(r"`src/headstart/(\w+)/NAME\.py`")


@pytest.mark.parametrize(("title", "text"), RECIPES, ids=[title for title, _ in RECIPES])
def test_a_recipe_names_one_file_to_write(title: str, text: str) -> None:
    assert len(TO_WRITE.findall(text)) == 1, (
        f"CONTRIBUTING.md, '{title}': name exactly one src/headstart/FAMILY/NAME.py"
    )


def test_every_family_has_a_recipe() -> None:
    assert sorted(TO_WRITE.search(text)[1] for _, text in RECIPES) == sorted(PLUGIN_FOLDERS)
