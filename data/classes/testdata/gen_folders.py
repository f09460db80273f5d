#!/usr/bin/env python3
"""Prints folders.txt: file names, and beside them the images that torchvision
0.14.1's ImageFolder lists over these files, in its order, with their class. The
two columns are independent of each other; "-" fills the shorter one.

    python3 gen_folders.py > folders.txt
"""
import os
import tempfile

from torchvision.datasets import ImageFolder

FILES = """
n02/b.jpg n02/B.jpg n02/a.JPEG n02/10.png n02/9.png n02/sub/c.jpg n02/sub-x/a.jpg n02/sub/sub/a.jpg n02/a.txt
n01/x.webp n01/.hidden.jpg n01/z.tiff n01/y.tif n01/w.ppm n01/v.gif n01/u.bmp n01/t.pgm
N03/0.jpg a b/1.jpg \u00e4/1.jpg z\u00fcrich/1.jpg zz/1.jpg top.jpg
""".replace("a b/", "a\x00b/").split()

with tempfile.TemporaryDirectory() as d:
    names = [f.replace("\x00", " ") for f in FILES]
    for f in names:
        path = os.path.join(d, f)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "w").close()
    s = ImageFolder(d)
    order = [os.path.relpath(p, d) + " " + s.classes[c] for p, c in s.samples]
for i, name in enumerate(names):
    print(name + "\t" + (order[i] if i < len(order) else "-"))
