"""Times PyTorch's ResNet-50 inference: the peer of `bin/bench infer`.

224x224 on the CPU, eval and inference_mode, in both memory layouts, by several ways:
eager, TorchScript frozen and optimised for inference, torch.compile (PyTorch 2), each in
float32, and eager in bfloat16 for the record. Prints one JSON object: seconds of every
counted run by way; a way that does not work here is left out and named under "failed".
"float32" is the list of the fastest float32 way. The machine must be otherwise idle.

    OMP_NUM_THREADS=4 python3 benchmarks/resnet50_infer.py --threads 4 --batch 1 --steps 30
"""
import argparse
import json
import statistics
import time

import torch
import torchvision

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=4)
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--batch", type=int, default=1)
parser.add_argument("--ways", default="eager,script,bf16", help="of eager, script, compile (takes minutes), bf16")
parser.add_argument("--layouts", default="nchw,nhwc")
a = parser.parse_args()
torch.set_num_threads(a.threads)
torch.manual_seed(1)
out = {"torch": torch.__version__, "threads": a.threads, "batch": a.batch, "failed": {}}


def prepare(way, net, x):
    if way == "bf16":
        return net.to(torch.bfloat16), x.to(torch.bfloat16)
    if way == "script":
        frozen = torch.jit.freeze(torch.jit.trace(net, x))
        return torch.jit.optimize_for_inference(frozen), x
    if way == "compile":
        torch._inductor.config.freezing = True
        return torch.compile(net), x
    return net, x


for way in a.ways.split(","):
    for layout in a.layouts.split(","):
        fmt = torch.channels_last if layout == "nhwc" else torch.contiguous_format
        try:
            net = torchvision.models.resnet50().to(memory_format=fmt).eval()
            x = torch.randn(a.batch, 3, 224, 224).to(memory_format=fmt)
            with torch.inference_mode(way != "compile"), torch.no_grad():
                net, x = prepare(way, net, x)
                times = []
                for i in range(a.steps + 3):
                    start = time.perf_counter()
                    net(x)
                    if i >= 3:
                        times.append(time.perf_counter() - start)
            out[f"{way}_{layout}"] = times
        except Exception as e:  # a way that this PyTorch or machine lacks
            out["failed"][f"{way}_{layout}"] = str(e).strip().splitlines()[0][:200] if str(e).strip() else repr(e)
f32 = {k: v for k, v in out.items() if isinstance(v, list) and not k.startswith("bf16")}
best = min(f32, key=lambda k: statistics.median(f32[k]))
out["fastest"], out["float32"] = best, f32[best]
print(json.dumps(out))
