"""Writes the small PyTorch files and, in pth.json, what they hold.

Run with PyTorch 1.13: python3 gen_pth.py
"""
import argparse
import collections
import json
import math
import os

import torch

here = os.path.dirname(os.path.abspath(__file__))
torch.manual_seed(1)


def path(name):
    return os.path.join(here, name)


base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 7
types = collections.OrderedDict(
    f64=torch.tensor([[1 / 3, -2.5], [1e300, 0.0]], dtype=torch.float64),
    f32=torch.tensor([[[0.1, -7.0, 3e38]]]),
    f16=torch.tensor([1.0, -2.0, 65504.0, 2.0**-24, math.inf, 0.333], dtype=torch.float16),
    bf16=torch.tensor([1.0, -3.14, math.inf, 2.0**-133], dtype=torch.bfloat16),
    i64=torch.tensor([-(2**63), 2**63 - 1]),
    i32=torch.tensor([-(2**31), 5], dtype=torch.int32),
    i16=torch.tensor([-(2**15), 2**15 - 1, 3], dtype=torch.int16),
    i8=torch.tensor([-128, 127, 3], dtype=torch.int8),
    u8=torch.tensor([0, 255, 7], dtype=torch.uint8),
    bool=torch.tensor([True, False, True]),
    scalar=torch.tensor(1.5),
    step=torch.tensor(7),
    empty=torch.zeros(0, 3),
    # Views: all six share one storage.
    base=base,
    transposed=base.t(),
    rows=base[1:3],
    columns=base[:, 1::2],
    one=base[2, 3],
    again=base.view(24),
    expanded=torch.tensor([1.0, 2.0]).unsqueeze(1).expand(2, 3),
    channels_last=torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    permuted=torch.randn(2, 3, 4).to(torch.float16).permute(1, 2, 0),
    parameter=torch.nn.Parameter(torch.tensor([1.0, 2.0])),
)


def values(t):
    t = t.detach().contiguous().reshape(-1)
    out = t.double().tolist() if t.is_floating_point() else t.to(torch.int64).tolist()
    return [str(x) if isinstance(x, float) and math.isinf(x) else x for x in out]


def describe(d):
    return {k: {"dtype": str(t.dtype), "shape": list(t.shape), "values": values(t)} for k, t in d.items()}


for proto in (1, 2, 4):
    for form in ("zip", "legacy"):
        torch.save(types, path(f"types_{form}{proto}.pth"), pickle_protocol=proto, _use_new_zipfile_serialization=form == "zip")


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 2, 3)
        self.bn = torch.nn.BatchNorm2d(2)
        self.tail = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(2, 3))
        self.register_buffer("table", torch.arange(3.0), persistent=False)


net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
sum(p.sum() for p in net.parameters()).backward()
opt.step()
checkpoint = {
    "epoch": 90,
    "arch": "net",
    "best_acc1": torch.tensor(91.5),
    "args": argparse.Namespace(lr=0.1, data="a/b"),
    "model_ema": {k: v + 1 for k, v in net.state_dict().items()},
    "state_dict": collections.OrderedDict(("module." + k, v) for k, v in net.state_dict().items()),
    "optimizer": opt.state_dict(),
}
for form in ("zip", "legacy"):
    new = form == "zip"
    torch.save(checkpoint, path(f"checkpoint_{form}.pth"), _use_new_zipfile_serialization=new)
# A whole model; only the zip form, the older one copies the classes' source code.
torch.save(net, path("module_zip.pth"))

w = torch.tensor([1.0, 2.0])
odd = {
    "w": w,
    "quantised": torch.quantize_per_tensor(w, 0.1, 0, torch.quint8),
    "complex": torch.ones(2, dtype=torch.complex64),
    "sparse": torch.eye(2).to_sparse(),
}
torch.save(odd, path("odd_zip.pth"))
odd.pop("sparse")
torch.save(odd, path("odd_legacy.pth"), _use_new_zipfile_serialization=False)

with open(path("pth.json"), "w") as f:
    json.dump({"types": describe(types), "module": describe(net.state_dict())}, f, indent=0)
    f.write("\n")
