#!/usr/bin/env python3
"""Writes mask.json: masks, texts, areas, boxes and IoUs computed by pycocotools.

    pip install pycocotools==2.0.11 numpy && python3 gen_mask.py
"""
import json
import os

import numpy as np
import pycocotools.mask as M

rng = np.random.default_rng(7)


def text(r):
    return r["counts"].decode()


def box(r):
    return [float(v) for v in M.toBbox(r)]


bitmaps = []
for k in range(24):
    h, w = int(rng.integers(1, 24)), int(rng.integers(1, 24))
    p = [0.0, 1.0, 0.5, 0.1, 0.9][k % 5]
    m = np.asfortranarray((rng.random((h, w)) < p).astype(np.uint8))
    r = M.encode(m)
    bitmaps.append({"h": h, "w": w, "bits": "".join(map(str, m.flatten(order="F"))),
                    "text": text(r), "area": int(M.area(r)), "box": box(r)})
# Long runs need several characters a count.
m = np.zeros((1000, 1200), np.uint8, order="F")
m[3:990, 40:1100] = 1
m[500, 500] = 0
r = M.encode(m)
big = {"h": 1000, "w": 1200, "text": text(r), "area": int(M.area(r)), "box": box(r)}

polygons = []
for k in range(120):
    h, w = int(rng.integers(1, 60)), int(rng.integers(1, 60))
    n = int(rng.integers(3, 9))
    kind = k % 6
    if kind == 0:
        xy = rng.uniform(0, 1, (n, 2)) * [w, h]
    elif kind == 1:
        xy = rng.uniform(-0.5, 1.5, (n, 2)) * [w, h]
    elif kind == 2:
        xy = rng.integers(0, 60, (n, 2)).astype(float)
    elif kind == 3:
        xy = np.round(rng.uniform(0, 1, (n, 2)) * [w, h], 2)
    elif kind == 4:
        xy = np.round(rng.uniform(0, 1, (n, 2)) * [w, h] * 10) / 10
        xy[1] = xy[0]
    else:
        x0, y0 = np.floor(rng.uniform(0, 1, 2) * [w, h])
        xy = np.array([[x0, y0], [x0 + 3, y0], [x0 + 3, y0 + 2], [x0, y0 + 2]])
    p = xy.flatten().tolist()
    r = M.frPyObjects([p], h, w)[0]
    polygons.append({"h": h, "w": w, "xy": p, "text": text(r), "area": int(M.area(r)), "box": box(r)})

unions = []
for k in range(20):
    h, w = int(rng.integers(10, 50)), int(rng.integers(10, 50))
    ps = [(rng.uniform(0, 1, (int(rng.integers(3, 6)), 2)) * [w, h]).flatten().tolist() for _ in range(int(rng.integers(2, 5)))]
    rs = M.frPyObjects(ps, h, w)
    unions.append({"h": h, "w": w, "polygons": ps, "union": text(M.merge(rs)), "intersection": text(M.merge(rs, 1))})

ious = []
for k in range(12):
    h, w = 40, 30
    def some():
        n = int(rng.integers(1, 5))
        out = []
        for _ in range(n):
            x, y = rng.uniform(0, 30), rng.uniform(0, 40)
            p = [x, y, x + 9, y + 1, x + 7, y + 12, x - 1, y + 8]
            out.append(M.frPyObjects([p], h, w)[0])
        return out
    d, g = some(), some()
    crowd = [int(v) for v in rng.integers(0, 2, len(g))]
    ious.append({"h": h, "w": w, "d": [text(r) for r in d], "g": [text(r) for r in g], "crowd": crowd,
                 "iou": M.iou(d, g, crowd).tolist()})
boxes = []
for k in range(12):
    d = np.round(rng.uniform(0, 30, (5, 4)), 2)
    g = np.round(rng.uniform(0, 30, (4, 4)), 2)
    g[0] = d[0]
    crowd = [int(v) for v in rng.integers(0, 2, 4)]
    boxes.append({"d": d.tolist(), "g": g.tolist(), "crowd": crowd, "iou": M.iou(d, g, crowd).tolist()})

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mask.json")
with open(out, "w") as f:
    json.dump({"source": "pycocotools 2.0.11", "bitmaps": bitmaps, "big": big, "polygons": polygons,
               "unions": unions, "ious": ious, "boxes": boxes}, f, separators=(",", ":"))
