"""Times PyTorch's ResNet-50 training step: the peer of `bin/bench resnet50`.

Batch 8, 224x224, float32 (or --precision bf16), SGD with momentum, on the CPU, in both memory layouts.
Prints one JSON object: seconds of every counted step by layout. The machine must
be otherwise idle. Needs Debian's python3-torch and python3-torchvision:

    OMP_NUM_THREADS=4 /usr/bin/python3 benchmarks/resnet50_step.py --threads 4 --steps 5
"""
import argparse
import json
import resource
import time

import torch
import torchvision

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=4)
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--layouts", default="nchw,nhwc")
parser.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="bf16: forward passes under autocast")
parser.add_argument("--flush-denormals", action="store_true", help="count denormal numbers as zero, which PyTorch does not do by itself")
a = parser.parse_args()
torch.set_flush_denormal(a.flush_denormals)
torch.set_num_threads(a.threads)
torch.manual_seed(1)
half = torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.precision == "bf16")
out = {"torch": torch.__version__, "threads": a.threads, "precision": a.precision, "batch": a.batch}
for layout in a.layouts.split(","):
    fmt = torch.channels_last if layout == "nhwc" else torch.contiguous_format
    net = torchvision.models.resnet50().to(memory_format=fmt).train()
    opt = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    loss_fn = torch.nn.CrossEntropyLoss()
    x = torch.randn(a.batch, 3, 224, 224).to(memory_format=fmt)
    y = torch.randint(0, 1000, (a.batch,))
    times = []
    for i in range(a.steps + 2):
        start = time.perf_counter()
        opt.zero_grad(set_to_none=True)
        with half:
            logits = net(x)
        loss = loss_fn(logits.float(), y)
        loss.backward()
        opt.step()
        if i >= 2:
            times.append(time.perf_counter() - start)
    out[layout] = times
out["peak_kib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps(out))
