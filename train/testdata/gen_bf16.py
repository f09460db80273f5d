"""How far PyTorch's autocast to bf16 is off: bf16.json. torchvision's ResNet-18 in training
mode, cross-entropy of BATCHES batches of 16 images of 64x64; for each part of the network
the length of the gradients in float32 and that of their difference under autocast, the
batches' squares summed, relative to it. Made by PyTorch 2.15.0 and torchvision 0.29.2 on a CPU.

Inputs follow from their names by the formulas of internal/golden, seed 1: parameters as
golden.Param, images "input0" ... as golden.U (NCHW), classes "labels0" ... as golden.Ints.

    python3 gen_bf16.py
"""
import json
import math
import os

import numpy as np
import torch
import torch.nn.functional as F
import torchvision

SEED, BATCHES, IMAGES, SIDE, CLASSES = 1, 4, 16, 64, 10


def u(name, n):
    h = 0xcbf29ce484222325
    for b in name.encode():
        h = (h ^ b) * 0x100000001b3 & (1 << 64) - 1
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.uint64(SEED) + np.arange(n, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        z = z ^ z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53 * 2 - 1


def parameter(name, shape):
    x = u(name, math.prod(shape))
    if len(shape) >= 2:
        x = x * math.sqrt(6 * shape[0] / x.size)
    elif name.endswith(".weight"):
        x = 1 + 0.2 * x
    else:
        x = 0.1 * x
    return torch.from_numpy(x.astype(np.float32)).reshape(shape)


net = torchvision.models.resnet18(num_classes=CLASSES).train()
with torch.no_grad():
    for name, p in net.named_parameters():
        p.copy_(parameter(name, p.shape))


def gradients(batch, autocast):
    x = torch.from_numpy(u("input%d" % batch, IMAGES * 3 * SIDE * SIDE).astype(np.float32)).reshape(IMAGES, 3, SIDE, SIDE)
    y = torch.from_numpy(np.floor((u("labels%d" % batch, IMAGES) + 1) / 2 * CLASSES).astype(np.int64))
    net.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        logits = net(x)
    loss = F.cross_entropy(logits.float(), y)
    loss.backward()
    return loss.item(), {name: p.grad.double() for name, p in net.named_parameters()}


losses, length, off = [], {}, {}
for batch in range(BATCHES):
    loss, want = gradients(batch, False)
    _, got = gradients(batch, True)
    losses.append(loss)
    for name, g in want.items():
        for part in (name.split(".")[0], "all"):
            length[part] = length.get(part, 0) + float((g * g).sum())
            off[part] = off.get(part, 0) + float(((got[name] - g) ** 2).sum())
parts = {part: {"length": math.sqrt(length[part]), "off": math.sqrt(off[part] / length[part])} for part in length}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "bf16.json"), "w") as f:
    json.dump({"torch": torch.__version__, "losses": losses, "parts": parts}, f, indent=1)
    f.write("\n")
