"""Small scans and annotated pictures on disk, made with the libraries that read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from masked_pictures import blobs_mask, picture_of

SPACING = (0.7, 0.5, 3.0)
"""Size of a voxel in mm: to the right, to the front, upwards."""


def volume(seed: int, depth: int = 3, side: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Grey values and classes, both (right, front, up)."""
    masks = np.stack([blobs_mask(3 * seed + k, side) for k in range(depth)], axis=2)
    return np.stack([picture_of(masks[..., k], seed)[..., 0] for k in range(depth)], axis=2).astype(np.int16), masks


def save_nifti(folder: Path, names: Sequence[str], *, masks: bool = True, spacing: Sequence[float] = SPACING) -> Path:
    """`imagesTr/` and `labelsTr/` as nnU-Net has them."""
    import nibabel

    for seed, name in enumerate(names):
        values, classes = volume(seed)
        affine = np.diag([*spacing, 1.0])
        places = {"imagesTr": (values, f"{name}_0000"), "labelsTr": (classes.astype(np.uint8), name)}
        for place, (data, stem) in places.items():
            if masks or place == "imagesTr":
                (folder / place).mkdir(parents=True, exist_ok=True)
                nibabel.save(nibabel.Nifti1Image(data, affine), folder / place / f"{stem}.nii.gz")
    return folder


def save_dicom(
    folder: Path, patients: Sequence[str], *, masks: bool = True, numbers: Sequence[int] = (0, 1, 2), **tags: Any
) -> Path:
    """`images/PATIENT/N.dcm`, slices 3 mm apart at the given numbers, and `masks/PATIENT/N.png`."""
    for seed, patient in enumerate(patients):
        values, classes = volume(seed, depth=max(numbers) + 1)
        series = _uid()
        for number in numbers:
            path = folder / "images" / patient / f"{number}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            # the slice that lies highest is written first, so that names do not tell the order
            _slice(values[..., number], patient, series, 3.0 * (max(numbers) - number), tags).save_as(
                path, enforce_file_format=True
            )
            if masks:
                (folder / "masks" / patient).mkdir(parents=True, exist_ok=True)
                Image.fromarray(classes[..., number]).save(folder / "masks" / patient / f"{number}.png")
    return folder


def save_coco(folder: Path, seeds: Sequence[int], *, shapes: bool = True, name: str = "instances.json") -> Path:
    """`images/` and a file of instances: squares as polygons, and one as run lengths."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for seed in seeds:
        mask = blobs_mask(seed, 32)
        Image.fromarray(picture_of(mask, seed)).save(folder / "images" / f"{seed}.png")
        images.append({"id": 10 + seed, "file_name": f"{seed}.png", "height": 32, "width": 32})
        square = [4 + seed, 4, 14 + seed, 4, 14 + seed, 14, 4 + seed, 14]
        runs = {"size": [32, 32], "counts": [32 * 20, 64, 32 * 10]}
        for category, shape in ((7, [square]), (3, runs))[: 1 + seed % 2]:
            found = {"segmentation": shape} if shapes else {"segmentation": []}
            annotations.append({"id": len(annotations), "image_id": 10 + seed, "category_id": category, **found})
    categories = [{"id": 3, "name": "stripe"}, {"id": 7, "name": "square"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / name).write_text(json.dumps(content))
    return folder


def _slice(values: np.ndarray, patient: str, series: str, height: float, tags: dict[str, Any]) -> Any:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.SOPClassUID = found.file_meta.MediaStorageSOPClassUID = CTImageStorage
    found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = _uid()
    found.PatientID, found.SeriesInstanceUID = patient, series
    found.ImagePositionPatient, found.ImageOrientationPatient = [0, 0, height], [1, 0, 0, 0, 1, 0]
    found.PixelSpacing = [0.8, 0.6]
    found.Rows, found.Columns = values.shape
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.BitsAllocated = found.BitsStored = 16
    found.HighBit, found.PixelRepresentation = 15, 1
    found.PixelData = values.astype("<i2").tobytes()
    for tag, value in tags.items():
        setattr(found, tag, value)
    return found


def _uid() -> str:
    from pydicom.uid import generate_uid

    return str(generate_uid())
