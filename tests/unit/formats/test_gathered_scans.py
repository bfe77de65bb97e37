"""Predicted masks of slices become label maps over the scans that they are of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.contracts.format import Columns
from headstart.formats.nifti import Nifti
from headstart.kernel.errors import DataError
from headstart.media.masks import encode_mask, read_mask

nibabel = pytest.importorskip("nibabel", reason="NIfTI needs the extra 'medical'")

TURNED = np.array([[0, -0.7, 0, 5], [0, 0, 3.0, -2], [0.5, 0, 0, 1], [0, 0, 0, 1]])
"""Voxels that run upwards, to the left, and to the front."""


def save(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, affine), path)


@pytest.mark.parametrize("axis", ["auto", "sagittal", "axial"])
@pytest.mark.parametrize("affine", [np.diag([0.7, 0.5, 3.0, 1.0]), TURNED], ids=["straight", "turned"])
def test_masks_of_slices_make_the_label_map_they_come_from(tmp_path: Path, axis: str, affine: np.ndarray) -> None:
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 3, (4, 5, 6)).astype(np.uint8)
    save(tmp_path / "imagesTr" / "a_0000.nii.gz", draws.normal(size=labels.shape).astype(np.float32), affine)
    save(tmp_path / "labelsTr" / "a.nii.gz", labels, affine)
    reader = Nifti(axis=axis)
    files = {}
    examples = reader.read(tmp_path, Columns())
    for number, (origin, mask) in enumerate(zip(examples.origins(), examples.target("mask"))):
        files[origin] = tmp_path / f"{number}.png"
        files[origin].write_bytes(encode_mask(read_mask(mask).values))

    (path,) = reader.gathered(tmp_path / "imagesTr", _below(files), tmp_path / "out")
    found = nibabel.load(path)
    assert path == tmp_path / "out" / "a_0000.nii.gz" and found.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(found.dataobj), labels) and np.allclose(found.affine, affine)

    some = dict(list(_below(files).items())[:-1])
    with pytest.raises(DataError, match="has slices of shape"):
        reader.gathered(tmp_path / "imagesTr", some, tmp_path / "out")


def test_a_window_decides_what_is_black_and_white(tmp_path: Path) -> None:
    values = np.array([-200, 40, 240, 1000], np.float32).reshape(1, 4, 1).repeat(2, axis=0).repeat(2, axis=2)
    save(tmp_path / "ct.nii", values, np.eye(4))
    examples = Nifti(window=(40, 400), axis="axial").read(tmp_path, Columns(), labelled=False)
    shown = read_mask(examples.column("slice")[0]).values
    assert shown[:, 0].tolist() == [255, 255, 128, 0]  # from the back to the front


def _below(files: dict[str, Path]) -> dict[str, Path]:
    """The masks by their origins as they are when the folder of scans alone is predicted for."""
    return {origin.removeprefix("imagesTr/"): path for origin, path in files.items()}
