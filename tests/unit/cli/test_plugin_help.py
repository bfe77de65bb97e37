"""What `headstart help` lists is read from the plug-ins' own files."""

from __future__ import annotations

import subprocess
import sys

import pytest

from headstart.cli import plugin_help
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError


def test_families_have_the_names_that_set_takes() -> None:
    found = dict(plugin_help.families())
    assert set(found) == {noun.split()[0] for noun in registry.FAMILY_NOUN.values()} >= {"task", "tuning", "baseline"}
    assert {"full", "head_only", "probe", "scratch"} <= set(found["tuning"].split(", "))


@pytest.mark.parametrize("family", plugin_help.family_names())
def test_every_plugin_has_an_idea(family: str) -> None:
    entries = plugin_help.plugins(family)
    assert [entry.name for entry in entries] == registry.names(plugin_help.family_names()[family])
    assert all(entry.idea and "\n" not in entry.idea for entry in entries)


def test_listing_plugins_imports_none_of_them() -> None:
    program = (
        "import sys\nfrom headstart.cli import plugin_help\nplugin_help.plugins('tuning')\n"
        "print([m for m in sys.modules if m.startswith('headstart.tuning.') or m == 'torch'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == "[]"


def test_settings_are_the_fields_of_the_plugin() -> None:
    rows = {row.name: row for row in plugin_help.settings("tuning", "full")}
    assert rows["epochs"].meaning


def test_unknown_names_have_their_nearest() -> None:
    with pytest.raises(SettingsError, match="Did you mean 'objective'"):
        plugin_help.plugins("objectives")
    with pytest.raises(SettingsError, match="Did you mean 'full'"):
        plugin_help.settings("tuning", "ful")


def test_what_is_set_of_all_augmentations_is_listed_with_each() -> None:
    rows = {row.name: row for row in plugin_help.settings("augmentation", "crop")}
    assert {"scale", "ratio", "views", "test_views"} <= rows.keys()
    assert "views" not in {row.name for row in plugin_help.settings("tuning", "full")}


def test_the_settings_of_pretraining_leave_out_what_means_nothing_without_labels() -> None:
    idea, rows = plugin_help.training()
    names = {row.name for row in rows}
    assert {"epochs", "batch_size", "averaging"} <= names and not {"patience", "soup"} & names
    assert idea.startswith("The settings of a pretraining")


def test_the_settings_of_a_head_are_listed() -> None:
    idea, rows = plugin_help.head()
    assert idea.startswith("Kind of a head") and "'prototype'" in next(
        row.meaning for row in rows if row.name == "kind"
    )


def test_the_settings_of_blending_are_listed() -> None:
    idea, rows = plugin_help.blend()
    assert idea.startswith("Blending of the probe and a fine-tuned model")
    assert {"allowed", "shrinkage", "weights"} <= {row.name for row in rows}
