"""How large the store may grow, and who says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.engine.store.feature_store import FeatureStore
from headstart.engine.store.size_limit import (
    GREATEST_DEFAULT,
    KEPT,
    forget_limit,
    keep_limit,
    limit_in_force,
    parse_size,
)
from headstart.kernel.errors import HeadstartError, SettingsError


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADSTART_CACHE_LIMIT", raising=False)


def test_the_default_is_a_tenth_of_what_is_free_at_most_20_gb(tmp_path: Path) -> None:
    limit = limit_in_force(tmp_path / "not there yet", 0)
    assert limit.origin == "default"
    assert 0 < limit.bytes <= GREATEST_DEFAULT


def test_a_kept_limit_holds_until_it_is_forgotten(tmp_path: Path) -> None:
    keep_limit(tmp_path, 7_000_000)
    assert limit_in_force(tmp_path, 0) == (7_000_000, "kept")
    store = FeatureStore(tmp_path)
    assert (store.limit, store.limit_origin) == (7_000_000, "kept")
    forget_limit(tmp_path)
    forget_limit(tmp_path)
    assert limit_in_force(tmp_path, 0).origin == "default"


def test_the_environment_comes_before_a_kept_limit_and_a_caller_before_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_limit(tmp_path, 7_000_000)
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", "5GB")
    assert limit_in_force(tmp_path, 0) == (5_000_000_000, "environment")
    assert FeatureStore(tmp_path).limit == 5_000_000_000
    assert FeatureStore(tmp_path, 1000).limit == 1000


def test_an_environment_that_names_no_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", "plenty")
    with pytest.raises(SettingsError, match="HEADSTART_CACHE_LIMIT: 'plenty' is not a size"):
        FeatureStore(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"bytes": "much"}', '{"bytes": null}'])
def test_a_damaged_kept_limit_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / KEPT).write_text(content)
    assert limit_in_force(tmp_path, 0).origin == "default"


def test_a_limit_that_cannot_be_kept_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HeadstartError, match="cannot write"):
        keep_limit(tmp_path / "file" / "store", 5)


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("1.5 mb", 1_500_000), ("2KB", 2000), ("10TB", 10**13), ("20GB", 2 * 10**10)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-5GB", "5 apples", "5GiB", "1e9"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SettingsError, match=r"is not a size\. Give a number and a unit: B, KB, MB, GB or TB"):
        parse_size(text)
