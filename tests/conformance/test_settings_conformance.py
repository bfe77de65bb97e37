"""Every plug-in of every family is a settings class that can be read, written, explained and called as promised."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from plugins import sample
from pydantic import ValidationError

from headstart.contracts.alignment import Alignment
from headstart.contracts.augmentation import Augmentation
from headstart.contracts.backbone import BackboneFamily
from headstart.contracts.baseline import Baseline
from headstart.contracts.exporter import Exporter
from headstart.contracts.format import Format
from headstart.contracts.modality import Modality
from headstart.contracts.objective import Objective
from headstart.contracts.recommender import Recommender
from headstart.contracts.runner import Runner
from headstart.contracts.score import Score
from headstart.contracts.task import Task
from headstart.contracts.test_time import TestTime
from headstart.contracts.tuning import Tuning
from headstart.contracts.validator import Validator
from headstart.contracts.weighting import Weighting
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build, field_help

CONTRACT: dict[str, Any] = {
    "formats": Format,
    "modalities": Modality,
    "backbones": BackboneFamily,
    "runners": Runner,
    "exporters": Exporter,
    "recommenders": Recommender,
    "tasks": Task,
    "tuning": Tuning,
    "objectives": Objective,
    "augmentations": Augmentation,
    "baselines": Baseline,
    "scores": Score,
    "alignment": Alignment,
    "weighting": Weighting,
    "test_time": TestTime,
    "validators": Validator,
}
PLUGINS = [(family, name) for family in CONTRACT for name in registry.names(family)]
every_plugin = pytest.mark.parametrize(
    ("family", "name"), PLUGINS, ids=[f"{family}-{name}" for family, name in PLUGINS]
)


def test_every_family_has_a_contract_and_plugins() -> None:
    assert CONTRACT.keys() == registry.FAMILY_NOUN.keys()
    assert {family for family, _ in PLUGINS} == CONTRACT.keys()


@every_plugin
def test_it_is_a_settings_class_known_by_its_name(family: str, name: str) -> None:
    settings = sample(family, name)
    assert isinstance(settings, Settings)
    assert registry.name_of(settings) == name
    assert registry.plugin(family, registry.name_of(settings)) is type(settings)


@every_plugin
def test_only_backbones_have_settings_without_a_default(family: str, name: str) -> None:
    required = [row.name for row in field_help(registry.plugin(family, name)) if row.default == "required"]
    assert not required or family == "backbones", f"give {required} a default: a plan may leave them out"


@every_plugin
def test_settings_are_frozen(family: str, name: str) -> None:
    settings = sample(family, name)
    assert type(settings).model_config.get("frozen") is True
    for field in type(settings).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(settings, field, getattr(settings, field))


@every_plugin
def test_a_setting_that_is_not_there_is_refused(family: str, name: str) -> None:
    values = {**sample(family, name).model_dump(), "no_such_setting": 1}
    with pytest.raises(SettingsError, match=r"it\.no_such_setting is not a setting"):
        build(registry.plugin(family, name), values, where="it")


@every_plugin
def test_module_class_and_fields_are_explained(family: str, name: str) -> None:
    kind = registry.plugin(family, name)
    module = inspect.getmodule(kind)
    assert module is not None and (module.__doc__ or "").strip(), f"{name} has no docstring on top of its file"
    assert vars(kind).get("__doc__"), f"{kind.__name__} has no docstring of its own"
    assert not [row.name for row in field_help(kind) if not row.meaning.strip()]


@every_plugin
def test_settings_survive_json(family: str, name: str) -> None:
    settings = sample(family, name)
    text = json.dumps(settings.model_dump(mode="json"), allow_nan=False)
    assert build(type(settings), json.loads(text), where="it") == settings


@every_plugin
def test_it_has_all_that_its_contract_promises(family: str, name: str) -> None:
    contract, settings = CONTRACT[family], sample(family, name)
    promised = {*vars(contract), *inspect.get_annotations(contract)}
    missing = {member for member in promised if not member.startswith("_") and not hasattr(settings, member)}
    assert not missing, f"{family}/{name}.py lacks {sorted(missing)} of {contract.__module__}"


@every_plugin
def test_its_methods_take_what_the_contract_says(family: str, name: str) -> None:
    contract, kind = CONTRACT[family], registry.plugin(family, name)
    for member in vars(contract):
        promised, found = getattr(contract, member), getattr(kind, member, None)
        if not member.startswith("_") and callable(promised) and callable(found):
            assert parameters(found) == parameters(promised), f"{name}.{member}"


def parameters(function: Any) -> list[tuple[str, Any]]:
    """(name, kind) of each parameter, `self` and those that start with an underscore left out."""
    found = inspect.signature(function).parameters.values()
    return [(p.name, p.kind) for p in found if p.name != "self" and not p.name.startswith("_")]
