#!/usr/bin/env python3
"""Times pycocotools or faster-coco-eval from files to its twelve numbers.

    pip install pycocotools==2.0.11 faster-coco-eval==1.8.0 numpy
    python3 benchmarks/coco_eval_peer.py --gt instances.json --dt results.json [--peer faster] [--iou bbox|segm] [--repeat 1]

The files are those that `bin/bench coco-eval DIR` writes. Prints one JSON line:
seconds of each run, their median, and the numbers.
"""
import argparse
import contextlib
import io
import json
import statistics
import time

p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
p.add_argument("--gt", required=True)
p.add_argument("--dt", required=True)
p.add_argument("--iou", choices=["bbox", "segm"], default="bbox")
p.add_argument("--peer", choices=["pycocotools", "faster"], default="pycocotools")
p.add_argument("--repeat", type=int, default=1)
a = p.parse_args()

if a.peer == "faster":
    from faster_coco_eval import COCO
    from faster_coco_eval import COCOeval_faster as COCOeval
else:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

seconds = []
for _ in range(a.repeat):
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO(a.gt)
        e = COCOeval(gt, gt.loadRes(a.dt), a.iou)
        e.evaluate()
        e.accumulate()
        e.summarize()
    seconds.append(time.perf_counter() - start)
keys = "AP AP50 AP75 APs APm APl AR1 AR10 AR100 ARs ARm ARl".split()
print(json.dumps({"peer": a.peer, "seconds": seconds, "median": statistics.median(seconds), **dict(zip(keys, map(float, e.stats)))}))
