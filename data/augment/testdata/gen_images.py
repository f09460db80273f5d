#!/usr/bin/env python3
"""Draws the small image files of the decode tests and writes their expected
pixels (Pillow 9.4, torchvision 0.14.1, PyTorch 1.13), and, given COCO's image
folder, the statistics of resized real images.

    python3 gen_images.py ../../../../shared/data/coco/train2017
"""
import glob
import json
import os
import sys

import numpy as np
import torch
import torchvision.transforms.functional as F
from PIL import Image

here = os.path.dirname(os.path.abspath(__file__))
W, H = 20, 14
y, x = np.mgrid[0:H, 0:W]
rgb = np.stack([x * 12, y * 18, (x + y) * 7], -1).astype(np.uint8)
grey = (x * 8 + y * 5).astype(np.uint8)
im = Image.fromarray(rgb)


def save(image, name, **kw):
    image.save(os.path.join(here, name), **kw)


save(im, "plain.png")
save(im, "plain.jpg", quality=95, subsampling=0)
save(im, "progressive.jpg", quality=95, subsampling=0, progressive=True)
save(im.convert("CMYK"), "cmyk.jpg", quality=100, subsampling=0)
save(Image.fromarray(grey), "grey.jpg", quality=95)
save(Image.fromarray(grey.astype(np.uint16) * 257), "grey16.png")
save(im.quantize(64), "palette.png")
alpha = np.concatenate([rgb, (255 - x * 12)[..., None].astype(np.uint8)], -1)
save(Image.fromarray(alpha), "alpha.png")
exif = Image.Exif()
exif[0x0112] = 6  # shown turned a quarter clockwise
save(im, "exif6.jpg", quality=95, subsampling=0, exif=exif)

out = {}
for name in ["plain.png", "plain.jpg", "progressive.jpg", "cmyk.jpg", "grey.jpg", "palette.png"]:
    out[name] = np.asarray(Image.open(os.path.join(here, name)).convert("RGB")).reshape(-1).tolist()
out["grey16.png"] = np.repeat(grey.reshape(-1), 3).tolist()
out["alpha.png"] = rgb.reshape(-1).tolist()

# Colour jitter in our order: brightness, contrast, saturation, hue.
rng = np.random.default_rng(0)
soft = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8)).resize((32, 24), Image.BICUBIC)
save(soft, "jitter.png")
cases = []
for b, c, s, h in [(1.3, 1, 1, 0), (0.6, 1, 1, 0), (1, 1.4, 1, 0), (1, 0.5, 1, 0), (1, 1, 1.5, 0), (1, 1, 0, 0),
                   (1, 1, 1, 0.1), (1, 1, 1, -0.25), (1, 1, 1, 0.5), (1.2, 0.8, 1.3, 0.05)]:
    t = F.adjust_saturation(F.adjust_contrast(F.adjust_brightness(soft, b), c), s)
    if h:  # the way to HSV and back is not without loss
        t = F.adjust_hue(t, h)
    cases.append({"brightness": b, "contrast": c, "saturation": s, "hue": h, "rgb": np.asarray(t).reshape(-1).tolist()})
with open(os.path.join(here, "expected.json"), "w") as f:
    json.dump({"images": out, "jitter": cases}, f)

if len(sys.argv) > 1:
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    rows = []
    for k, path in enumerate(sorted(glob.glob(os.path.join(sys.argv[1], "*.jpg")))):
        t = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1).float() / 255
        h, w = t.shape[1:]
        scale = min(600 / min(h, w), 1000 / max(h, w))
        size = [int(np.floor(v * scale + 0.5)) for v in (h, w)]
        t = torch.nn.functional.interpolate(t[None], size=size, mode="bilinear", align_corners=False)[0]
        t = (t - mean) / std
        row = {"file": os.path.basename(path), "h": size[0], "w": size[1],
               "mean": [round(v, 5) for v in t.mean((1, 2)).tolist()], "std": [round(v, 5) for v in t.std((1, 2)).tolist()]}
        if k % 8 == 0:
            row["at"] = [[yy, xx] + [round(v, 4) for v in t[:, yy, xx].tolist()]
                         for yy, xx in [(0, 0), (size[0] // 3, size[1] // 2), (size[0] // 2, size[1] // 3), (size[0] - 1, size[1] - 1)]]
        rows.append(row)
    with open(os.path.join(here, "coco600.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")
