#!/usr/bin/env python3
"""Writes torchvision.json: what torchvision 0.14.1's transforms and Pillow 9.4.0
make of images given by a formula. Pixels are stored as the CRC-32 of their R, G,
B bytes, row by row.

    python3 gen_torchvision.py
"""
import json
import os
import zlib

import numpy as np
import torch
from PIL import Image
from torchvision import transforms as T
from torchvision.transforms import functional as F

here = os.path.dirname(os.path.abspath(__file__))


def picture(w, h):
    """The image of test pixels: R, G, B at x, y are (a(b+1) >> 2) & 255 with
    a = 37x+91y+53c, b = xy+7c."""
    y, x, c = np.meshgrid(np.arange(h), np.arange(w), np.arange(3), indexing="ij")
    return Image.fromarray((((37 * x + 91 * y + 53 * c) * (x * y + 7 * c + 1) >> 2) & 255).astype(np.uint8))


def crc(img):
    return zlib.crc32(np.asarray(img).tobytes())


def record(img):
    return {"w": img.width, "h": img.height, "crc": crc(img)}


out = {"picture_crc": crc(picture(37, 23)), "resize": [], "evaluation": [], "padded": [], "parts": [], "boxes": []}

# Pillow's filters.
for w, h in [(64, 48), (37, 91), (200, 3), (1, 50)]:
    for nw, nh in [(64, 48), (32, 24), (17, 90), (200, 11), (5, 5), (1, 1), (64, 13)]:
        for name, how in [("antialias", Image.BILINEAR), ("antialias-cubic", Image.BICUBIC)]:
            img = picture(w, h).resize((nw, nh), how)
            out["resize"].append({"from": [w, h], "filter": name, **record(img)})
# A part of the image, as RandomResizedCrop resizes it.
for x, y, w, h in [(3, 5, 40, 31), (0, 0, 64, 48), (20, 10, 7, 38)]:
    for name, how in [("antialias", T.InterpolationMode.BILINEAR), ("antialias-cubic", T.InterpolationMode.BICUBIC)]:
        img = F.resized_crop(picture(64, 48), y, x, h, w, [24, 20], how)
        out["boxes"].append({"box": [x, y, x + w, y + h], "filter": name, **record(img)})

# Resize of the short side, then the centre.
for w, h in [(500, 375), (375, 500), (64, 64), (333, 250), (499, 333), (250, 251), (97, 31), (31, 97), (19, 40)]:
    for short, side in [(256, 224), (36, 32), (33, 32), (16, 21), (19, 19)]:
        small = T.Resize(short)(picture(w, h))
        img = T.CenterCrop(side)(small)
        out["evaluation"].append({"from": [w, h], "short": short, "side": side, "resized": [small.width, small.height], **record(img)})

# RandomCrop with padding: every part but the draw of its place.
for w, h, side, pad, mode in [(32, 32, 32, 4, "reflect"), (32, 32, 32, 2, "constant"), (96, 96, 96, 4, "constant"), (9, 7, 11, 3, "reflect")]:
    mx, my = w + 2 * pad - side, h + 2 * pad - side
    for x, y, flip in [(0, 0, False), (mx, my, True), (mx // 2, my // 2, False), (1, my // 2, True), (mx // 2, 1, False)]:
        padded = F.pad(picture(w, h), [pad] * 4, 0, mode)
        img = F.crop(padded, y, x, side, side)
        if flip:
            img = F.hflip(img)
        out["padded"].append({"from": [w, h], "pad": pad, "mode": mode, "at": [x, y], "flip": flip, **record(img)})

# RandomResizedCrop.get_params with its draws written down.
draws = []
uniform, randint = torch.Tensor.uniform_, torch.randint


def uniform_(self, lo, hi):
    uniform(self, lo, hi)
    draws.append(self.item())
    return self


def randint_(*args, **kw):
    v = randint(*args, **kw)
    draws.append(v.item())
    return v


torch.Tensor.uniform_, torch.randint = uniform_, randint_
torch.manual_seed(3)
for w, h in [(500, 375), (32, 32), (37, 400), (400, 37), (300, 200), (3, 2), (1, 1), (1000, 10), (10, 1000)]:
    for scale, ratio in [((0.08, 1.0), (3 / 4, 4 / 3)), ((0.5, 1.0), (0.9, 1.1)), ((0.9, 1.0), (1.0, 2.0))]:
        for _ in range(6):
            draws.clear()
            i, j, ph, pw = T.RandomResizedCrop.get_params(picture(w, h), list(scale), list(ratio))
            out["parts"].append({"from": [w, h], "scale": scale, "ratio": ratio, "draws": list(draws), "part": [j, i, j + pw, i + ph]})

with open(os.path.join(here, "torchvision.json"), "w") as f:
    json.dump(out, f, separators=(",", ":"))
    f.write("\n")
