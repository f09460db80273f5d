#!/usr/bin/env python3
"""Makes official.json: small cases and what cityscapesScripts computes for them.

    pip install cityscapesscripts==2.3.0 numpy
    python3 gen_official.py > official.json

Each case has images (ground truth, prediction, instance ids; row by row) and the
result of evaluateImgLists over all of them. NaN becomes null.
"""
import contextlib
import io
import json
import math
import os
import sys
import tempfile

import numpy as np

if not hasattr(np, "in1d"):  # dropped by newer numpy, the script still calls it
    np.in1d = np.isin
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official
from cityscapesscripts.helpers.labels import id2label
from PIL import Image

rng = np.random.default_rng(11)
W, H = 16, 12


def image(truth_ids, pred_ids, objects):
    gt = rng.choice(truth_ids, size=(H, W)).astype(np.uint8)
    for _ in range(3):  # some areas
        y, x = rng.integers(0, H - 3), rng.integers(0, W - 3)
        gt[y : y + 4, x : x + 5] = rng.choice(truth_ids)
    keep = rng.random((H, W)) < 0.6
    pred = np.where(keep, gt, rng.choice(pred_ids, size=(H, W))).astype(np.uint8)
    inst = gt.astype(np.uint16)
    for k in range(objects):
        y, x = rng.integers(0, H - 3), rng.integers(0, W - 3)
        area = np.zeros((H, W), bool)
        area[y : y + 4, x : x + 4] = True
        label = int(rng.choice([l for l in range(24, 34)]))
        gt[area] = label
        inst[area] = label * 1000 + k
    return gt, pred, inst


def clean(v):
    if isinstance(v, dict):
        return {k: clean(x) for k, x in v.items()}
    return None if isinstance(v, float) and math.isnan(v) else v


def case(name, images):
    with tempfile.TemporaryDirectory() as d:
        gts, preds = [], []
        for i, (gt, pred, inst) in enumerate(images):
            base = os.path.join(d, f"x_000000_{i:06d}")
            gts.append(base + "_gtFine_labelIds.png")
            preds.append(base + "_pred.png")
            Image.fromarray(gt).save(gts[-1])
            Image.fromarray(pred).save(preds[-1])
            Image.fromarray(inst).save(gts[-1].replace("labelIds", "instanceIds"))
        a = official.args
        a.quiet, a.JSONOutput, a.evalPixelAccuracy = True, False, False
        with contextlib.redirect_stdout(io.StringIO()):
            r = official.evaluateImgLists(preds, gts, a)
    m = np.array(r["confMatrix"])
    rows = [l for l in range(34) if not id2label[l].ignoreInEval]
    n = m[rows].sum()
    r["_pixelAccuracy_eval_classes"] = float(m[rows, rows].sum() / n) if n else None
    return {
        "name": name,
        "width": W,
        "height": H,
        "images": [{"gt": g.flatten().tolist(), "pred": p.flatten().tolist(), "instances": i.flatten().tolist()} for g, p, i in images],
        "want": clean(r),
    }


every = list(range(34))
cases = [
    case("all labels", [image(every, every, 6) for _ in range(3)]),
    case("few classes", [image([7, 8, 11, 26], [7, 8, 26, 13], 2)]),
    case("ignored only", [image([0, 1, 2, 3, 4], [7, 8, 26], 0)]),
    case("ignored predictions", [image([7, 24, 26, 27], [0, 4, 29, 30, 9], 4)]),
    case("vehicles", [image([26, 27, 28, 29, 30, 31, 32, 33, 7], [26, 29, 30, 33, 7], 9) for _ in range(2)]),
    case("no instances", [image([7, 11, 23], [7, 23, 26], 0)]),
]
json.dump(cases, sys.stdout, separators=(",", ":"))
print()
