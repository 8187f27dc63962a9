"""Draw the moving picture of the README: an explorer of lesson 4, its learning rate growing.

    python tools/make_moving_picture.py

It plays once and stays at its end, so that nobody has to read beside something that moves.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from mflib.explore.product import ProductExplorer

FILE = Path(__file__).parents[1] / ".github/explorer.webp"


def main() -> None:
    """Draw a frame for every third learning rate of the slider, from 0.1 to 0.45."""
    explorer, frames = ProductExplorer(), []
    for rate in (v for v in explorer.controls["learning_rate"].values[::3] if 0.1 <= v <= 0.45):
        explorer.set(learning_rate=rate)
        pixels = np.array(explorer.figure.canvas.buffer_rgba())
        frames.append(Image.fromarray(pixels).resize((1060, 370), Image.Resampling.LANCZOS))
    options = {"duration": 200, "loop": 1, "quality": 30, "method": 6}
    frames[0].save(FILE, save_all=True, append_images=frames[1:], **options)


if __name__ == "__main__":
    main()
