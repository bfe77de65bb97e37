"""`check.py` of an export: 40 lines that replay its golden inputs with numpy and the runtime alone."""

from __future__ import annotations

_BEFORE = '''"""Replay the golden inputs of this export: python check.py. It needs numpy and the runtime."""
import json
import sys
from pathlib import Path

import numpy as np

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1", "I8": "i1", "BOOL": "?"}


def tensors(file):
    content = file.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    for name, entry in json.loads(content[8:end]).items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            flat = np.frombuffer(content[end + first : end + last], TYPES[entry["dtype"]])
            yield name, flat.reshape(entry["shape"])


'''
_AFTER = """

folder = Path(__file__).resolve().parent
golden = dict(tensors(folder / "golden.safetensors"))
found = load(folder)({name[6:]: value for name, value in golden.items() if name.startswith("input.")})
for name, value in golden.items():
    if name.startswith("output."):
        allowed = 0 if value.dtype.kind in "iub" else TOLERANCE * abs(value).max(initial=1e-6)
        apart = abs(found[name[7:]].astype("f8") - value.astype("f8"))
        if not (apart <= allowed).all():
            sys.exit(f"{name} differs by up to {apart.max():.3g} from the golden one: this export is not what it was")
print("The golden inputs give their outputs.")
"""


_PARTS = '''"""Replay the golden inputs of all parts of this export: python check.py. It needs numpy and the runtime."""
import runpy
from pathlib import Path

for part in PARTS:
    runpy.run_path(str(Path(__file__).resolve().parent / part / "check.py"))
'''


def check_file_of_parts(parts: tuple[str, ...]) -> str:
    """Return the program for an export of several graphs."""
    return _PARTS.replace("PARTS", repr(parts))


def check_file(checker: str, tolerance: float) -> str:
    """Return the program, around a runtime's function `load`."""
    return _BEFORE + checker + _AFTER.replace("TOLERANCE", str(tolerance))
