#!/usr/bin/env python3
"""Images a second that torchvision's data path delivers from COCO pictures.

The peer of `bin/bench load`: decode, Resize(600, max_size=1000), normalise in a
DataLoader, batches of 2 padded to a multiple of 32. Three paths:

    pil     Pillow decodes and resizes, then ToTensor: torchvision's classic path
    tensor  torchvision.io decodes to a tensor, transforms resize it with antialiasing
    plain   the same without antialiasing, which is the resize ours does by default

Runs with Debian's python3-torchvision and with PyPI's newest; Pillow-SIMD, where it
is installed, takes Pillow's place by itself.

    python3 benchmarks/load_peer.py ../shared/data/coco/train2017 --workers 1 4 --path tensor
"""
import argparse
import glob
import json
import os
import time

import PIL
import torch
import torchvision
from PIL import Image
from torchvision import io, transforms

NORMALIZE = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


class Folder(torch.utils.data.Dataset):
    def __init__(self, files, repeat, path):
        self.files = files * repeat
        self.path = path
        if path == "pil":
            steps = [transforms.Resize(600, max_size=1000), transforms.ToTensor(), NORMALIZE]
        else:
            steps = [
                transforms.Resize(600, max_size=1000, antialias=path == "tensor"),
                transforms.ConvertImageDtype(torch.float32),
                NORMALIZE,
            ]
        self.transform = transforms.Compose(steps)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        if self.path == "pil":
            with Image.open(self.files[i]) as im:
                return self.transform(im.convert("RGB"))
        return self.transform(io.decode_jpeg(io.read_file(self.files[i]), mode=io.ImageReadMode.RGB))


def pad(images):
    h = (max(i.shape[1] for i in images) + 31) // 32 * 32
    w = (max(i.shape[2] for i in images) + 31) // 32 * 32
    out = torch.zeros(len(images), 3, h, w)
    for k, im in enumerate(images):
        out[k, :, : im.shape[1], : im.shape[2]] = im
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("images")
    p.add_argument("--workers", type=int, nargs="+", default=[1, 4])
    p.add_argument("--path", choices=["pil", "tensor", "plain"], default="pil")
    p.add_argument("--batch", type=int, default=2)
    p.add_argument("--repeat", type=int, default=3, help="passes over the folder in one timing")
    p.add_argument("--runs", type=int, default=3, help="timings; the median is reported")
    a = p.parse_args()
    torch.set_num_threads(1)
    files = sorted(glob.glob(os.path.join(a.images, "*.jpg")))
    for workers in a.workers:
        rates = []
        for _ in range(a.runs):
            loader = torch.utils.data.DataLoader(Folder(files, a.repeat, a.path), batch_size=a.batch, num_workers=workers, collate_fn=pad)
            it = iter(loader)
            n = len(next(it))  # the workers' start is not counted
            n, start = 0, time.perf_counter()
            for batch in it:
                n += len(batch)
            rates.append(n / (time.perf_counter() - start))
        rates.sort()
        print(json.dumps({"peer": f"torchvision {torchvision.__version__}, Pillow {PIL.__version__}", "path": a.path, "workers": workers,
                          "images_per_second": round(rates[len(rates) // 2], 1), "runs": [round(r, 1) for r in rates]}))


if __name__ == "__main__":
    main()
