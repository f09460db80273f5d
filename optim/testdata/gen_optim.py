"""Writes optim.json: torch.optim's updates and torch.optim.lr_scheduler's rates.

Run with PyTorch 1.13 (Debian 12's python3-torch): python3 gen_optim.py
"""
import json
import os
import warnings

import torch
from torch.optim import lr_scheduler as sched

warnings.filterwarnings("ignore")
torch.set_default_dtype(torch.float64)


def start():
    p = torch.tensor([0.5, -1.25, 2.0, 0.0, -0.003], requires_grad=True)
    q = torch.tensor([1.5, 0.75], requires_grad=True)
    return p, q


def grads(step):
    a = torch.arange(5.0)
    b = torch.arange(2.0)
    return torch.sin(1.3 * a + step) * 2, torch.cos(0.7 * b - 2 * step) * 3


def run(make, clip=0.0):
    p, q = start()
    opt = make([p, q])
    out = []
    for step in range(5):
        p.grad, q.grad = grads(step)
        norm = torch.nn.utils.clip_grad_norm_([p, q], clip) if clip else torch.tensor(0.0)
        opt.step()
        out.append({"norm": float(norm), "p": p.tolist(), "q": q.tolist()})
    return out


updates = []
for momentum, nesterov, wd, clip in [(0, False, 0, 0), (0, False, 0.1, 0), (0.9, False, 1e-2, 0), (0.9, True, 1e-2, 0), (0.9, False, 1e-4, 1.0)]:
    updates.append({
        "rule": "sgd", "lr": 0.1, "momentum": momentum, "nesterov": nesterov, "wd": wd, "clip": clip,
        "steps": run(lambda ps: torch.optim.SGD(ps, 0.1, momentum=momentum, nesterov=nesterov, weight_decay=wd), clip),
    })
for wd, b1, b2, clip in [(0, 0.9, 0.999, 0), (0.05, 0.9, 0.999, 0), (0.05, 0.8, 0.95, 0.5)]:
    updates.append({
        "rule": "adamw", "lr": 0.02, "beta1": b1, "beta2": b2, "eps": 1e-8, "wd": wd, "clip": clip,
        "steps": run(lambda ps: torch.optim.AdamW(ps, 0.02, betas=(b1, b2), eps=1e-8, weight_decay=wd), clip),
    })


def rates(make, steps):
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.4)
    s = make(opt)
    out = []
    for _ in range(steps):
        out.append(opt.param_groups[0]["lr"])
        opt.step()
        s.step()
    return out


def warm(o, n, f):
    return sched.LinearLR(o, start_factor=f, total_iters=n)


schedules = {
    "constant": rates(lambda o: sched.ConstantLR(o, factor=1.0), 8),
    "constant_warm5_f0.1": rates(lambda o: warm(o, 5, 0.1), 8),
    "multistep_4_9_g0.1": rates(lambda o: sched.MultiStepLR(o, [4, 9], 0.1), 14),
    "multistep_4_9_g0.5_warm6_f0.2": rates(lambda o: sched.ChainedScheduler([warm(o, 6, 0.2), sched.MultiStepLR(o, [4, 9], 0.5)]), 14),
    "poly_20_p0.9": rates(lambda o: sched.PolynomialLR(o, 20, 0.9), 24),
    "poly_20_p2_warm5_f0.25": rates(lambda o: sched.SequentialLR(o, [warm(o, 5, 0.25), sched.PolynomialLR(o, 15, 2.0)], [5]), 20),
    "cosine_20_min0.01": rates(lambda o: sched.CosineAnnealingLR(o, 20, 0.01), 21),
    "cosine_20_min0.01_warm4_f0.001": rates(lambda o: sched.SequentialLR(o, [warm(o, 4, 0.001), sched.CosineAnnealingLR(o, 16, 0.01)], [4]), 21),
}

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "optim.json")
with open(path, "w") as f:
    json.dump({"source": "PyTorch " + torch.__version__, "updates": updates, "schedules": schedules}, f, indent=1)
    f.write("\n")
