#!/usr/bin/env python3
"""Makes sampling_*.jpg: 75x53 pixels with chroma at full, half and quarter
resolution, as Pillow 9.4 writes them. The test compares two decoders on them."""
import os

import numpy as np
from PIL import Image

y, x = np.mgrid[0:53, 0:75]
rng = np.random.default_rng(1)
px = np.stack([x * 3 + y, 255 - y * 4 + x, (x // 8 + y // 8) % 2 * 200], 2) + rng.integers(-20, 21, (53, 75, 3))
picture = Image.fromarray(np.clip(px, 0, 255).astype(np.uint8))
for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
    picture.save(os.path.join(os.path.dirname(os.path.abspath(__file__)), f"sampling_{name}.jpg"), quality=85, subsampling=subsampling)
