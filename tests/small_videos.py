"""Small videos on disk: a bright square that moves over noise; also with a variable frame rate, or cut off."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

WIDTH, HEIGHT, SQUARE = 64, 48, 12


def square_at(number: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom in a frame."""
    left = (2 * number) % (WIDTH - SQUARE)
    return left, 10, left + SQUARE, 10 + SQUARE


def save_video(path: Path, *, seed: int = 0, frames: int = 30, rate: float = 10.0, moves: bool = True) -> Path:
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), rate, (WIDTH, HEIGHT))
    ground = np.random.default_rng(seed).integers(0, 90, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    ground = np.repeat(np.repeat(ground, 8, axis=0), 8, axis=1)
    for number in range(frames):
        frame = ground.copy()
        left, top, right, bottom = square_at(number if moves else 0)
        frame[top:bottom, left:right] = 255
        writer.write(frame)
    writer.release()
    return path


def with_variable_rate(path: Path, *, first: int, slower: int) -> Path:
    """The frames behind the `first` ones take `slower` times as long: a second entry in the table of durations."""
    content = path.read_bytes()
    at = content.index(b"stts") - 4
    size, _, _, entries, frames, duration = struct.unpack(">I4sIIII", content[at : at + 24])
    assert entries == 1 and size == 24
    table = struct.pack(">I4sIIIIII", 32, b"stts", 0, 2, first, duration, frames - first, duration * slower)
    whole = bytearray(content[:at] + table + content[at + 24 :])
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        place = content.index(name) - 4
        assert place > content.index(b"mdat"), "the samples must come first, so that none of them moves"
        whole[place : place + 4] = struct.pack(">I", struct.unpack(">I", content[place : place + 4])[0] + 8)
    path.write_bytes(bytes(whole).replace(b"edts", b"free"))  # the list of edits would end the video where it ended
    return path


def cut_off(path: Path, share: float) -> Path:
    """A share of the samples, behind the table of all of them, as of a download that broke off."""
    content = path.read_bytes()
    samples, table = content.index(b"mdat") - 4, content.index(b"moov") - 4
    moved = bytearray(content[table:])
    at = moved.index(b"stco") + 8
    (entries,) = struct.unpack(">I", moved[at : at + 4])
    for place in range(at + 4, at + 4 + 4 * entries, 4):
        (offset,) = struct.unpack(">I", moved[place : place + 4])
        moved[place : place + 4] = struct.pack(">I", offset + len(moved))
    path.write_bytes(content[:samples] + bytes(moved) + content[samples : samples + int(share * (table - samples))])
    return path
