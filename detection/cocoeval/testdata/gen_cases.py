#!/usr/bin/env python3
"""Writes cases.json: small random evaluations computed by pycocotools.

    pip install pycocotools==2.0.11 numpy && python3 gen_cases.py

Each case holds an instances file, a results file and the twelve numbers and
per-class AP for boxes and (where there are masks) for segm.
"""
import contextlib
import copy
import io
import json
import os

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
import pycocotools.mask as M


def rect(b):
    x, y, w, h = b
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def blob(rng, b):
    """A hexagon around the box's middle."""
    x, y, w, h = b
    p = [x + w * .3, y, x + w * .8, y + h * .1, x + w, y + h * .6, x + w * .6, y + h, x + w * .1, y + h * .8, x, y + h * .3]
    return [[round(float(v), 2) for v in p]]


def case(name, seed, images=8, classes=4, gts=6, dts=12, size=200, crowd=0.15, ties=False, id0=False,
         empty_class=False, no_gt=0.2, masks=True, near=0.7, big=False):
    rng = np.random.default_rng(seed)
    S = size
    ims = [{"id": int(i), "file_name": f"{i}.jpg", "width": S, "height": S}
           for i in rng.permutation(np.arange(1, images + 1) * 7)]
    cats = [{"id": int(c), "name": f"c{c}"} for c in rng.permutation(np.arange(1, classes + 1) * 3)]
    anns, res = [], []
    nid = 0 if id0 else 1
    for im in ims:
        mine = []
        if rng.random() >= no_gt:
            for _ in range(int(rng.integers(1, gts + 1))):
                w, h = [float(np.round(v, 2)) for v in np.exp(rng.uniform(np.log(4), np.log(S * .8), 2))]
                x, y = float(np.round(rng.uniform(0, S - w), 2)), float(np.round(rng.uniform(0, S - h), 2))
                cid = cats[int(rng.integers(0, len(cats) - (1 if empty_class else 0)))]["id"]
                b = [x, y, w, h]
                seg = blob(rng, b) if masks else rect(b)
                rle = M.merge(M.frPyObjects(seg, S, S))
                a = {"id": nid, "image_id": im["id"], "category_id": cid, "bbox": b, "iscrowd": 0,
                     "area": float(M.area(rle)) if masks else w * h}
                if rng.random() < crowd:
                    a["iscrowd"] = 1
                    bits = M.decode(rle).flatten(order="F")
                    edges = np.flatnonzero(np.diff(np.concatenate([[0], bits, [2]])))
                    counts = np.diff(np.concatenate([[0], edges])).astype(int).tolist()
                    if bits[0]:
                        counts = [0] + counts[1:] if counts[0] == 0 else [0] + counts
                    seg = {"size": [S, S], "counts": counts}
                    assert sum(counts) == S * S, (sum(counts), bits[0])
                if masks:
                    a["segmentation"] = seg
                nid += 1
                anns.append(a)
                mine.append(a)
        for _ in range(int(rng.integers(0, dts + 1))):
            if mine and rng.random() < near:
                g = mine[int(rng.integers(0, len(mine)))]
                j = rng.choice([0., .02, .1, .3])
                x, y, w, h = g["bbox"]
                w2, h2 = w * (1 + rng.uniform(-j, j)), h * (1 + rng.uniform(-j, j))
                b = [x + w * rng.uniform(-j, j), y + h * rng.uniform(-j, j), w2, h2]
                cid = g["category_id"]
            else:
                w, h = np.exp(rng.uniform(np.log(3), np.log(S * .9), 2))
                b = [rng.uniform(0, S - w), rng.uniform(0, S - h), w, h]
                cid = cats[int(rng.integers(0, len(cats)))]["id"]
            b = [round(float(v), 2) for v in b]
            s = float(rng.choice([.1, .3, .5, .9])) if ties else round(float(rng.random()), 4)
            r = {"image_id": im["id"], "category_id": cid, "bbox": b, "score": s}
            if masks:
                rle = M.merge(M.frPyObjects(blob(rng, b), S, S))
                r["segmentation"] = {"size": [S, S], "counts": rle["counts"].decode()}
            res.append(r)
    res = [res[i] for i in rng.permutation(len(res))]
    gt = {"images": ims, "categories": cats, "annotations": [anns[i] for i in rng.permutation(len(anns))] if not id0 else anns}
    out = {"name": name, "gt": gt, "dt": res, "want": {}}
    kinds = [("bbox", res)]
    if masks:
        kinds += [("segm", res), ("segm-only", [{k: v for k, v in r.items() if k != "bbox"} for r in res]),
                  ("bbox-from-segm", [{k: v for k, v in r.items() if k != "bbox"} for r in res])]
    for kind, dts_ in kinds:
        with contextlib.redirect_stdout(io.StringIO()):
            g = COCO()
            g.dataset = copy.deepcopy(gt)
            g.createIndex()
            d = g.loadRes(copy.deepcopy(dts_))
            e = COCOeval(g, d, "bbox" if kind.startswith("bbox") else "segm")
            e.evaluate()
            e.accumulate()
            e.summarize()
        per = {}
        for k, c in enumerate(e.params.catIds):
            p = e.eval["precision"][:, :, k, 0, 2]
            p = p[p > -1]
            per[str(c)] = float(np.mean(p)) if p.size else -1.0
        out["want"][kind] = {"stats": [float(v) for v in e.stats], "per_class": per}
    return out


cases = [
    case("plain", 1),
    case("ties", 2, ties=True, images=10, dts=20),
    case("crowds", 3, crowd=0.6, dts=20),
    case("id 0", 4, id0=True, crowd=0),
    case("id 0 crowd", 44, id0=True, crowd=1),
    case("an empty class", 5, empty_class=True),
    case("images without objects", 6, no_gt=0.7),
    case("more than 100 detections", 7, images=2, classes=1, gts=40, dts=260, masks=False, no_gt=0, near=0.9, ties=True),
    case("one class", 8, classes=1, masks=False, dts=40, images=12),
    case("many", 9, masks=False, images=30, classes=7, gts=10, dts=40),
    case("many ties", 10, masks=False, images=30, classes=3, gts=10, dts=40, ties=True, crowd=.3),
    case("small pictures", 11, size=40, images=10, classes=2),
    case("no objects at all", 12, no_gt=1.1, masks=False),
]
out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases.json")
with open(out, "w") as f:
    json.dump({"source": "pycocotools 2.0.11", "cases": cases}, f, separators=(",", ":"))
