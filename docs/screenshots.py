"""Take the README's pictures of a report: on a desk in light and in dark, and on a phone.

    python docs/screenshots.py RUN

It needs Chromium, and writes report-light.png, report-dark.png and report-375.png beside this file.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "tests"))

from headless_chromium import Tab, headless_chromium  # noqa: E402
from headstart.present.report.write import report  # noqa: E402

MOST_BYTES = 200_000
"""Of one picture."""


def main(run: Path) -> None:
    """Write the three pictures of the report of `run`, which is drawn anew."""
    with tempfile.TemporaryDirectory() as folder, headless_chromium(Path(folder, "profile")) as tab:
        page = report(run, out=Path(folder, "report.html"))
        tab.open(page, width=1160, height=980, scale=1.5)
        save(tab, "report-light.png")
        tab.open(page, width=1160, height=980, scale=1.5, dark=True)
        tab.run("document.querySelector('#stages').scrollIntoView()")
        save(tab, "report-dark.png")
        tab.open(page, width=375, height=812, scale=2)
        save(tab, "report-375.png")


def save(tab: Tab, name: str) -> None:
    """What is seen now, in as few colours as it takes to stay small."""
    picture = Image.open(io.BytesIO(tab.picture())).convert("RGB")
    for colours in (256, 128, 64, 32):
        picture.quantize(colours, dither=Image.Dither.NONE).save(FOLDER / name, optimize=True)
        if (FOLDER / name).stat().st_size <= MOST_BYTES:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
