"""Writes views.json: label maps and mean scores of a toy network over whole
pictures, windows, scales and flips, computed with PyTorch 1.13 the way
mmsegmentation does (slide_inference, then the mean of softmax over views).

    /usr/bin/python3 gen_views.py
"""
import json
import math
import os

import torch
import torch.nn.functional as F

CLASSES, STRIDE = 5, 8
torch.set_default_dtype(torch.float64)


def picture(h, w):
    y, x, k = torch.meshgrid(torch.arange(h), torch.arange(w), torch.arange(3), indexing="ij")
    noise = ((x * 7 + y * 13 + k * 5) % 11) / 11.0
    p = torch.sin(0.11 * x * (k + 1) + 0.07 * y) + torch.cos(0.13 * y * (k + 1) - 0.05 * x) + noise
    return p.permute(2, 0, 1)[None]


def network(x):
    """Logits at stride 8 of an input whose sides are multiples of 32."""
    m = F.avg_pool2d(x, STRIDE)
    n, _, h, w = m.shape
    a = torch.tensor([[math.cos(1.7 * c + 2.3 * k + 0.5) for k in range(3)] for c in range(CLASSES)])
    c, i, j = torch.meshgrid(torch.arange(CLASSES), torch.arange(h), torch.arange(w), indexing="ij")
    return 6 * torch.einsum("ck,nkhw->nchw", a, m) + 0.8 * torch.sin(0.7 * c + 0.9 * i + 1.3 * j)


def bilinear(x, size):
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def logits_of(x):
    """At the size of x: padded with 0, cells wholly in the padding dropped, then upsampled and cropped."""
    h, w = x.shape[2:]
    out = network(F.pad(x, (0, -w % 32, 0, -h % 32)))
    ch, cw = -(-h // STRIDE), -(-w // STRIDE)
    return bilinear(out[:, :, :ch, :cw], (ch * STRIDE, cw * STRIDE))[:, :, :h, :w]


def slide(x, window, stride):
    h, w = x.shape[2:]
    (ww, wh), (sw, sh) = window, stride
    total, count = torch.zeros(1, CLASSES, h, w), torch.zeros(1, 1, h, w)
    for r in range(max(h - wh + sh - 1, 0) // sh + 1):
        for c in range(max(w - ww + sw - 1, 0) // sw + 1):
            y2, x2 = min(r * sh + wh, h), min(c * sw + ww, w)
            y1, x1 = max(y2 - wh, 0), max(x2 - ww, 0)
            total[:, :, y1:y2, x1:x2] += logits_of(x[:, :, y1:y2, x1:x2])
            count[:, :, y1:y2, x1:x2] += 1
    return total / count


def scores(x, size, scales, flip, window, stride):
    h, w = x.shape[2:]
    views = []
    for s in scales:
        g = (max(1, math.floor(size[0] * s + 0.5)), max(1, math.floor(size[1] * s + 0.5)))
        scaled = x if g == (h, w) else bilinear(x, g)
        for f in [False, True] if flip else [False]:
            v = torch.flip(scaled, [3]) if f else scaled
            out = bilinear(slide(v, window, stride) if window else logits_of(v), (h, w))
            views.append(torch.flip(out, [3]) if f else out)
    if len(views) == 1:
        return views[0]
    return torch.stack([v.softmax(1) for v in views]).mean(0)


CASES = {
    "whole": dict(h=64, w=96),
    "padded": dict(h=61, w=99),
    "one pixel": dict(h=1, w=1),
    "resized": dict(h=61, w=99, resize=(40, 56)),
    "enlarged": dict(h=30, w=41, resize=(96, 128)),
    "flip": dict(h=50, w=70, flip=True),
    "windows": dict(h=75, w=103, window=(64, 48), stride=(40, 32)),
    "windows that fit evenly": dict(h=64, w=128, window=(64, 32), stride=(32, 32)),
    "windows larger than the picture": dict(h=40, w=90, window=(64, 64), stride=(24, 64)),
    "windows of a resized picture": dict(h=61, w=99, resize=(80, 120), window=(64, 33), stride=(50, 17)),
    "scales": dict(h=61, w=99, scales=(0.5, 1, 1.75)),
    "all": dict(h=75, w=103, scales=(0.75, 1.0, 1.25), flip=True, window=(64, 64), stride=(43, 43)),
}


def main():
    out = []
    for name, c in CASES.items():
        x = picture(c["h"], c["w"])
        s = scores(x, c.get("resize", (c["h"], c["w"])), c.get("scales", (1,)), c.get("flip", False), c.get("window"), c.get("stride"))[0]
        top = s.topk(2, dim=0).values
        flat = s.permute(1, 2, 0).reshape(-1, CLASSES)
        out.append(dict(
            name=name, height=c["h"], width=c["w"], resize=c.get("resize", ()), scales=c.get("scales", ()), flip=c.get("flip", False),
            window=c.get("window", (0, 0)), stride=c.get("stride", (0, 0)),
            labels="".join(map(str, s.argmax(0).flatten().tolist())),
            # of every 17th pixel, row by row
            scores=[[round(v, 7) for v in p] for p in flat[::17].tolist()],
            margin=(top[0] - top[1]).min().item()))
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "views.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(o) for o in out) + "\n]\n")
    for o in out:
        print(o["name"], o["margin"])


main()
