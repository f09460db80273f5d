#!/usr/bin/env python3
"""Makes polygons.json: label maps as cityscapesScripts draws them.

    pip install cityscapesscripts==2.3.0 pillow==13.0.0
    python3 gen_polygons.py > polygons.json

Random and awkward polygons (thin, self-crossing, flat, partly or wholly outside,
touching, repeated points) in annotation files, drawn by json2labelImg.createLabelImage in
"ids" and "trainIds" encoding. The maps are stored as runs: value, length, ...
"""
import json
import random

import numpy as np
from cityscapesscripts.helpers.annotation import Annotation
from cityscapesscripts.helpers.labels import labels
from cityscapesscripts.preparation.json2labelImg import createLabelImage

random.seed(7)
NAMES = [l.name for l in labels] + ["cargroup", "persongroup", "bicyclegroup"]


def polygon(w, h):
    kind = random.randrange(8)
    n = random.choice([2, 3, 3, 4, 5, 8, 20])
    if kind == 0:  # anything
        p = [[random.randrange(w), random.randrange(h)] for _ in range(n)]
    elif kind == 1:  # partly outside
        p = [[random.randrange(-w, 2 * w), random.randrange(-h, 2 * h)] for _ in range(n)]
    elif kind == 2:  # small
        x, y = random.randrange(w), random.randrange(h)
        p = [[x + random.randrange(-4, 5), y + random.randrange(-4, 5)] for _ in range(n)]
    elif kind == 3:  # axis parallel steps
        p = [[random.randrange(w), random.randrange(h)]]
        for _ in range(n):
            x, y = p[-1]
            p.append([random.randrange(w), y] if random.random() < 0.5 else [x, random.randrange(h)])
    elif kind == 4:  # thin needle
        x, y, u, v = (random.randrange(k) for k in (w, h, w, h))
        p = [[x, y], [u, v], [u + random.randrange(-2, 3), v + random.randrange(-2, 3)]]
    elif kind == 5:  # closed explicitly, points repeated
        p = [[random.randrange(w), random.randrange(h)] for _ in range(n)]
        p.insert(1, p[0])
        p.append(p[0])
    elif kind == 6:  # along the picture's edge
        p = [[0, 0], [w, 0], [w, random.randrange(h)], [random.randrange(w), h], [0, h]]
    else:  # fractions
        p = [[round(random.uniform(-3, w + 3), 2), round(random.uniform(-3, h + 3), 2)] for _ in range(n)]
    return p


def runs(a):
    flat = a.reshape(-1)
    starts = np.concatenate([[0], np.nonzero(np.diff(flat.astype(int)))[0] + 1, [flat.size]])
    out = []
    for s, e in zip(starts[:-1], starts[1:]):
        out += [int(flat[s]), int(e - s)]
    return out


cases = []
for k in range(120):
    w, h = random.choice([(40, 30), (64, 32), (7, 9), (1, 1), (100, 3)])
    objects = []
    for _ in range(random.choice([1, 1, 2, 5, 9])):
        o = {"label": random.choice(NAMES), "polygon": polygon(w, h)}
        if random.random() < 0.3:
            o["deleted"] = random.choice([0, 1])
        objects.append(o)
    text = json.dumps({"imgHeight": h, "imgWidth": w, "objects": objects}, separators=(",", ":"))
    a = Annotation()
    a.fromJsonText(text)
    cases.append({
        "annotation": json.loads(text),
        "ids": runs(np.array(createLabelImage(a, "ids"))),
        "trainIds": runs(np.array(createLabelImage(a, "trainIds"))),
    })
print(json.dumps(cases, separators=(",", ":")))
