#!/usr/bin/env python3
"""Times cityscapesScripts' pixel-level evaluation from files to its scores.

    pip install cityscapesscripts==2.3.0
    python3 benchmarks/cityscapes_eval_peer.py --images miou-oracle --data DIR [--copies 10] [--repeat 1]

--images holds *_gtFine_labelIds.png, *_gtFine_instanceIds.png and *_pred_labelIds.png files.
They are copied under new frame numbers into DIR/gt and DIR/pred, where

    bin/eval cityscapes --gt DIR/gt --pred DIR/pred --workers 1

finds them. The scripts are faster with their Cython extension, which their
package does not build by default: see "cython" in the output; in a checkout,
"CYTHONIZE_EVAL= python3 setup.py build_ext --inplace" builds it.

Prints one JSON line: seconds of each run (imports are not timed), their median,
the number of images, whether the extension is on, and the scores.
"""
import argparse
import contextlib
import glob
import io
import json
import os
import shutil
import statistics
import time

import numpy as np

if not hasattr(np, "in1d"):  # dropped by newer numpy, the scripts still call it
    np.in1d = np.isin
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as peer

p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
p.add_argument("--images", required=True)
p.add_argument("--data", required=True)
p.add_argument("--copies", type=int, default=10)
p.add_argument("--repeat", type=int, default=1)
a = p.parse_args()

for folder in ("gt", "pred"):
    os.makedirs(os.path.join(a.data, folder), exist_ok=True)
gts, preds = [], []
for truth in sorted(glob.glob(os.path.join(a.images, "*_gtFine_labelIds.png"))):
    key = os.path.basename(truth).replace("_gtFine_labelIds.png", "")
    city, sequence, frame = key.split("_")
    for k in range(a.copies):
        name = f"{city}_{k:06d}_{frame}"
        gts.append(os.path.join(a.data, "gt", name + "_gtFine_labelIds.png"))
        preds.append(os.path.join(a.data, "pred", name + "_pred_labelIds.png"))
        for src, dst in (
            (truth, gts[-1]),
            (truth.replace("labelIds", "instanceIds"), gts[-1].replace("labelIds", "instanceIds")),
            (os.path.join(a.images, key + "_pred_labelIds.png"), preds[-1]),
        ):
            if not os.path.exists(dst):
                shutil.copyfile(src, dst)

peer.args.quiet, peer.args.JSONOutput = True, False
seconds = []
for _ in range(a.repeat):
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        r = peer.evaluateImgLists(preds, gts, peer.args)
    seconds.append(time.perf_counter() - start)
print(json.dumps({
    "seconds": seconds, "median": statistics.median(seconds), "images": len(gts), "cython": bool(peer.CSUPPORT),
    "mIoU": r["averageScoreClasses"], "iIoU": r["averageScoreInstClasses"],
    "category_mIoU": r["averageScoreCategories"], "category_iIoU": r["averageScoreInstCategories"],
}))
