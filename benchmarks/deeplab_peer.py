"""Times torchvision's DeepLabV3 ResNet-50: the peer of `bin/bench deeplab`.

Output stride 8, auxiliary head, float32 (training also --precision bf16), on the CPU, in both memory layouts. A
training step as torchvision's reference trains: cross-entropy on out + 0.5 * aux,
SGD with momentum. With --infer a forward pass in eval mode to the label map
(upsampled logits, argmax), without the auxiliary head. Prints one JSON object: seconds of every counted step by
layout and the process's resident peak; --layouts with one layout gives that
layout's own peak. The machine must be otherwise idle. Needs Debian's python3-torch
and python3-torchvision:

    OMP_NUM_THREADS=4 /usr/bin/python3 benchmarks/deeplab_peer.py --threads 4 --steps 3
    OMP_NUM_THREADS=4 /usr/bin/python3 benchmarks/deeplab_peer.py --infer --batch 1 --height 512 --width 1024
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
parser.add_argument("--batch", type=int, default=2)
parser.add_argument("--height", type=int, default=512)
parser.add_argument("--width", type=int, default=512)
parser.add_argument("--classes", type=int, default=19)
parser.add_argument("--infer", action="store_true")
parser.add_argument("--layouts", default="nchw,nhwc")
parser.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="bf16: forward passes under autocast")
a = parser.parse_args()
torch.set_num_threads(a.threads)
torch.manual_seed(1)
half = torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.precision == "bf16")
start_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
out = {"torch": torch.__version__, "threads": a.threads, "precision": a.precision, "batch": a.batch, "height": a.height, "width": a.width}
for layout in a.layouts.split(","):
    fmt = torch.channels_last if layout == "nhwc" else torch.contiguous_format
    net = torchvision.models.segmentation.deeplabv3_resnet50(
        weights=None, weights_backbone=None, num_classes=a.classes, aux_loss=not a.infer
    ).to(memory_format=fmt)
    x = torch.randn(a.batch, 3, a.height, a.width).to(memory_format=fmt)
    y = torch.randint(0, a.classes, (a.batch, a.height, a.width))
    y[:, : a.height // 16] = 255
    times = []
    if a.infer:
        net.eval()
        with torch.inference_mode():
            for i in range(a.steps + 2):
                start = time.perf_counter()
                net(x)["out"].argmax(1)
                if i >= 2:
                    times.append(time.perf_counter() - start)
    else:
        net.train()
        opt = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
        loss_fn = torch.nn.CrossEntropyLoss(ignore_index=255)
        for i in range(a.steps + 2):
            start = time.perf_counter()
            opt.zero_grad(set_to_none=True)
            with half:
                o = net(x)
            loss = loss_fn(o["out"].float(), y) + 0.5 * loss_fn(o["aux"].float(), y)
            loss.backward()
            opt.step()
            if i >= 2:
                times.append(time.perf_counter() - start)
    out[layout] = times
    del net, x, y
out["start_bytes"] = 1024 * start_kib
out["resident_bytes"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps(out))
