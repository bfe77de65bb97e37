"""Alignments against versions written out, and against POT where it is installed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import inv, sqrtm
from sklearn.covariance import OAS

from headstart.alignment.centring import CentredDomains
from headstart.alignment.coral import Coral
from headstart.alignment.optimal_transport import OptimalTransport
from headstart.alignment.standardisation import StandardisedDomains
from headstart.alignment.subspace import Subspace
from headstart.contracts.domains import Domains
from headstart.kernel.errors import SettingsError
from two_domains import WIDTH, domains

TURN = np.linalg.qr(np.random.default_rng(8).normal(size=(WIDTH, WIDTH)))[0] * np.linspace(0.5, 2, WIDTH)


@pytest.fixture
def data() -> Domains:
    return domains(400, 350, turn=TURN, move=2.0)


def test_coral_is_the_papers_with_shrunken_covariances(data: Domains) -> None:
    source, target = data.source.astype(float), data.target.astype(float)
    own = OAS().fit(source).covariance_
    root = sqrtm(own)
    whitened = (target - target.mean(0)) @ inv(root)
    theirs = root @ OAS(assume_centered=True).fit(whitened).covariance_ @ root
    expected = (source - source.mean(0)) @ inv(root) @ sqrtm(theirs) + target.mean(0)
    np.testing.assert_allclose(Coral().align(data, 0).source, expected, rtol=1e-6, atol=2e-6)


def test_coral_gives_the_source_the_covariance_and_mean_of_a_large_target() -> None:
    many = domains(6000, 6000, turn=TURN, move=2.0)
    moved = Coral().align(many, 0).source
    np.testing.assert_allclose(np.cov(moved.T), np.cov(many.target.T), atol=0.06)
    np.testing.assert_allclose(moved.mean(0), many.target.mean(0), atol=1e-4)


def test_coral_of_few_target_examples_only_scales_and_moves(data: Domains) -> None:
    few = data._replace(target=data.target[:5])
    moved = Coral().align(few, 0).source - few.target.mean(0)
    centred = data.source - data.source.mean(0)
    scale = np.sqrt(moved.var() / centred.var())
    assert np.square(moved - scale * centred).mean() < 0.3 * moved.var()


def test_subspaces_are_those_of_the_covariances(data: Domains) -> None:
    aligned = Subspace(dimension=3).align(data, 0)
    bases = []
    for features in (data.source, data.target):
        values, vectors = np.linalg.eigh(np.cov(features.T.astype(float)))
        bases.append(vectors[:, np.argsort(-values)[:3]])
    of_source, of_target = bases
    source = (data.source - data.source.mean(0)) @ of_source @ of_source.T @ of_target
    target = (data.target - data.target.mean(0)) @ of_target
    signs = np.sign((target * aligned.target(data.target)).sum(0))
    np.testing.assert_allclose(aligned.target(data.target) * signs, target, atol=2e-5)
    np.testing.assert_allclose(aligned.source * signs, source, atol=2e-5)


def test_centred_domains_have_the_same_mean_and_keep_their_proportions(data: Domains) -> None:
    aligned = CentredDomains().align(data, 0)
    for features, given in ((aligned.source, data.source), (aligned.target(data.target), data.target)):
        np.testing.assert_allclose(features, given - given.mean(0), atol=1e-5)


def test_standardised_domains_have_the_same_mean_and_variance(data: Domains) -> None:
    aligned = StandardisedDomains().align(data, 0)
    for features in (aligned.source, aligned.target(data.target)):
        np.testing.assert_allclose(features.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(features.std(0), 1, atol=1e-5)


def test_an_entropic_plan_is_sinkhorns(data: Domains) -> None:
    pytest.importorskip("ot", reason="the extra 'adaptation' is not installed")
    source, target = data.source[:60].astype(float), data.target[:50].astype(float)
    some = data._replace(source=data.source[:60], labels=data.labels[:60], target=data.target[:50])
    costs = ((source[:, None] - target[None]) ** 2).sum(-1)
    kernel = np.exp(-costs / np.median(costs) / 0.5)
    rows, columns = np.ones(60), np.ones(50)
    for _ in range(2000):
        columns = (1 / 50) / (kernel.T @ rows)
        rows = (1 / 60) / (kernel @ columns)
    plan = rows[:, None] * kernel * columns
    expected = plan @ target / plan.sum(1, keepdims=True)
    found = OptimalTransport(form="entropic", entropy=0.5).align(some, 0).source
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_term_for_classes_keeps_them_apart(data: Domains) -> None:
    pytest.importorskip("ot", reason="the extra 'adaptation' is not installed")

    def spread(form: str) -> float:
        moved = OptimalTransport(form=form, entropy=0.2, classes=1.0).align(data, 0).source  # type: ignore[arg-type]
        within = sum(moved[data.labels == k].var(0).sum() for k in range(3)) / 3
        return float(within / moved.var(0).sum())

    assert spread("classes") < spread("entropic") - 0.02


def test_a_linear_plan_is_bures_map(data: Domains) -> None:
    pytest.importorskip("ot", reason="the extra 'adaptation' is not installed")
    found = OptimalTransport(form="linear", entropy=1e-6).align(data, 0)
    own, theirs = (np.cov(features.T.astype(float), bias=True) for features in (data.source, data.target))
    root = sqrtm(own)
    matrix = inv(root) @ sqrtm(root @ theirs @ root) @ inv(root)
    expected = (data.source - data.source.mean(0)) @ matrix + data.target.mean(0)
    np.testing.assert_allclose(found.source, expected, atol=2e-3)


def test_a_large_source_is_moved_like_its_neighbours(data: Domains) -> None:
    pytest.importorskip("ot", reason="the extra 'adaptation' is not installed")
    found = OptimalTransport(most=100).align(data, 0).source
    assert np.abs(found.mean(0) - data.target.mean(0)).max() < 0.5


def test_without_pot_the_extra_is_named(data: Domains, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ot", None)
    with pytest.raises(SettingsError, match=r"pip install 'headstart\[adaptation\]'"):
        OptimalTransport().align(data, 0)
