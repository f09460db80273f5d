#!/usr/bin/env python3
"""Writes real.json: what torchvision 0.14.1 with Pillow 9.4.0 makes of real JPEGs
for evaluation (Resize, CenterCrop) and of one part of each for training; CRC-32 of
the R, G, B bytes.

    python3 gen_real.py FOLDER_OF_JPEGS
"""
import json
import os
import sys
import zlib

import numpy as np
from PIL import Image
from torchvision import transforms as T
from torchvision.transforms import functional as F

here = os.path.dirname(os.path.abspath(__file__))
folder = sys.argv[1]


def crc(img):
    return zlib.crc32(np.asarray(img).tobytes())


out = []
for name in sorted(f for f in os.listdir(folder) if f.endswith(".jpg")):
    img = Image.open(os.path.join(folder, name))
    grey = img.mode != "RGB"
    img = img.convert("RGB")
    if len(out) >= 12 and not grey:
        continue
    w, h = img.size
    x, y, pw, ph = w // 7, h // 5, w // 2, 2 * h // 3
    out.append({
        "file": name, "w": w, "h": h,
        "eval": crc(T.CenterCrop(224)(T.Resize(256)(img))),
        "eval_cubic": crc(T.CenterCrop(224)(T.Resize(248, T.InterpolationMode.BICUBIC)(img))),
        "part": [x, y, x + pw, y + ph], "train": crc(F.hflip(F.resized_crop(img, y, x, ph, pw, [224, 224]))),
    })
with open(os.path.join(here, "real.json"), "w") as f:
    json.dump(out, f, separators=(",", ":"))
    f.write("\n")
