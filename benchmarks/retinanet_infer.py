"""Times torchvision's RetinaNet ResNet-50 from JPEG files to boxes: the peer of
`bin/bench detect`.

With --save the weights are drawn, so that a good part of the anchors passes the
threshold for classes that COCO has, and written to that file, and nothing is timed. With --checkpoint they are
read from it: both sides run the same network. One image at a time: decoding
(torchvision.io), the model's own transform (short side 800, long side at most 1333),
network, suppression; eval and inference_mode. Prints one JSON object: seconds an image
of every counted pass over the images by layout, and how many boxes were found. --boxes
writes those of the last layout to a file, as COCO results whose image_id is the file's
place in the folder.

    python3 benchmarks/retinanet_infer.py --save retinanet.pth
    OMP_NUM_THREADS=4 python3 benchmarks/retinanet_infer.py FOLDER --checkpoint retinanet.pth --threads 4
"""
import argparse
import glob
import json
import math
import os
import time

import torch
import torchvision

parser = argparse.ArgumentParser()
parser.add_argument("images", nargs="?")
parser.add_argument("--threads", type=int, default=4)
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--checkpoint")
parser.add_argument("--save")
parser.add_argument("--boxes")
parser.add_argument("--layouts", default="nchw,nhwc")
parser.add_argument("--compile", action="store_true", help="compile the backbone and the heads, too (PyTorch 2)")
a = parser.parse_args()
torch.set_num_threads(a.threads)
torch.manual_seed(1)


def network():
    return torchvision.models.detection.retinanet_resnet50_fpn(weights=None, weights_backbone=None).eval()


if a.save:
    net = network()
    state = net.state_dict()
    for name, v in state.items():
        if v.dim() == 4 and "head" in name:  # keeps the towers' signal alive
            fan_in = v[0].numel()
            v.normal_(0, math.sqrt(2 / fan_in))
        elif name.endswith("bn3.weight"):  # and the backbone's from growing
            v.fill_(0.3)
    state["head.classification_head.cls_logits.weight"].mul_(1.2)
    state["head.regression_head.bbox_reg.weight"].mul_(0.1)
    # Ids that COCO does not use are no objects here, which our side leaves out.
    names = torchvision.models.detection.RetinaNet_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    unused = torch.tensor([n in ("__background__", "N/A") for n in names])
    state["head.classification_head.cls_logits.bias"].view(-1, len(names))[:, unused] = -100
    torch.save(state, a.save)
    raise SystemExit

files = sorted(glob.glob(os.path.join(a.images, "*.jpg"))) or [a.images]
out = {"torch": torch.__version__, "threads": a.threads, "images": len(files)}
for layout in a.layouts.split(","):
    net = network()
    net.load_state_dict(torch.load(a.checkpoint))
    if layout == "nhwc":
        net = net.to(memory_format=torch.channels_last)
    if a.compile:
        torch._inductor.config.freezing = True
        net.backbone, net.head = torch.compile(net.backbone), torch.compile(net.head)
    times = []
    with torch.inference_mode(not a.compile), torch.no_grad():
        for i in range(a.steps + 2):
            start = time.perf_counter()
            found, top, results = 0, 0.0, []
            for index, f in enumerate(files):
                image = torchvision.io.read_image(f, torchvision.io.ImageReadMode.RGB).float() / 255
                if layout == "nhwc":
                    image = image[None].to(memory_format=torch.channels_last)[0]
                r = net([image])[0]
                found += len(r["scores"])
                top = max([top] + r["scores"][:1].tolist())
                if a.boxes:
                    for (x0, y0, x1, y1), s, c in zip(r["boxes"].tolist(), r["scores"].tolist(), r["labels"].tolist()):
                        results.append({"image_id": index, "category_id": c, "score": s, "bbox": [x0, y0, x1 - x0, y1 - y0]})
            if i >= 2:
                times.append((time.perf_counter() - start) / len(files))
    out[layout], out["detections"], out["top_score"] = times, found, top
if a.boxes:
    with open(a.boxes, "w") as f:
        json.dump(results, f)
print(json.dumps(out))
