"""Writes golden_<arch>.json: what torchvision's own networks (PyTorch 1.13, torchvision
0.14) compute with weights made by formula, in eval mode.

Weights by state_dict name (internal/golden's streams, seed 1): parameters are
golden.Param's; running_mean is 0.1u, running_var 1 + 0.3u; parameters of names with a
gain in the file are multiplied by it (float32). Inputs are named "input", u/2 + 1/2 for
retinanet (which normalises itself), u otherwise, NCHW. names_<arch>.json are the names
and shapes of the state_dict without its counters.
"""
import json, math, os, sys
import numpy as np
import torch
import torchvision

SEED = 1
M = (1 << 64) - 1

def u(name, n):
    h = 0xcbf29ce484222325
    for b in name.encode():
        h = ((h ^ b) * 0x100000001b3) & M
    with np.errstate(over="ignore"):
        z = np.uint64((h + SEED) & M) + np.arange(n, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53 * 2 - 1

def value(name, shape):
    n = int(np.prod(shape)) if len(shape) else 1
    x = u(name, n)
    if name.endswith("running_mean"): x = 0.1 * x
    elif name.endswith("running_var"): x = 1 + 0.3 * x
    elif len(shape) >= 2: x = x * math.sqrt(6.0 * shape[0] / n)
    elif len(shape) == 1 and name.endswith(".weight"): x = 1 + 0.2 * x
    elif len(shape) == 1: x = 0.1 * x
    return torch.from_numpy(x.astype(np.float32)).reshape(shape)

def here(file):
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), file)

def fill(model, gains):
    state = model.state_dict()
    names = [json.dumps({"name": k, "shape": list(v.shape)}) for k, v in state.items() if not k.endswith("num_batches_tracked")]
    with open(here("names_%s.json" % model.arch), "w") as out:
        out.write("[\n" + ",\n".join(names) + "\n]\n")
    for k, v in state.items():
        if k.endswith("num_batches_tracked"): continue
        t = value(k, tuple(v.shape))
        if k in gains: t = t * np.float32(gains[k])
        state[k] = t
    model.load_state_dict(state)
    return model.eval()

def image(shape):
    return torch.from_numpy(u("input", int(np.prod(shape))).astype(np.float32)).reshape(shape)

def write(name, d):
    d["arch"] = name
    path = here("golden_%s.json" % name)
    with open(path, "w") as f:
        json.dump(d, f, separators=(",", ":")); f.write("\n")
    print(name, os.path.getsize(path))

def f(x): return [float("%.9g" % v) for v in x]

def classifier(name, size):
    model = getattr(torchvision.models, name)()
    model.arch = name
    fill(model, {})
    x = image((1, 3, size, size))
    with torch.no_grad(): y = model(x)[0]
    print(name, "std", float(y.std()))
    write(name, {"size": [size, size], "logits": f(y.tolist())})

def picture(name, h, w):
    """Through torchvision's own preset (resize 256, centre crop 224): picture_<arch>.json.
    The picture's bytes are floor((u + 1)·128) of "picture", rows of RGB; the weights of
    fc are made smaller, so that probabilities are spread."""
    from PIL import Image
    from torchvision.transforms._presets import ImageClassification
    img = Image.fromarray(np.floor((u("picture", h * w * 3) + 1) * 128).astype(np.uint8).reshape(h, w, 3))
    x = ImageClassification(crop_size=224)(img)[None]
    def logits(gains):
        model = getattr(torchvision.models, name)()
        model.arch = name
        with torch.no_grad(): return fill(model, gains)(x)[0]
    gains = {"fc.weight": float("%.3g" % (2 / float(logits({}).std())))}
    y = logits(gains).double()
    p, c = y.softmax(0).topk(5)
    with open(here("picture_%s.json" % name), "w") as f:
        json.dump({"size": [h, w], "gains": gains, "classes": c.tolist(), "probabilities": p.tolist(), "cross_entropy": float(-y.log_softmax(0)[c[1]])}, f, separators=(",", ":")); f.write("\n")

def segmenter(name, h, w):
    model = getattr(torchvision.models.segmentation, name)(weights_backbone=None, aux_loss=True)
    model.arch = name
    fill(model, {})
    x = image((1, 3, h, w))
    with torch.no_grad(): y = model(x)["out"][0]
    top = y.topk(2, 0).values
    print(name, "std", float(y.std()), "least margin", float((top[0] - top[1]).min() / y.abs().max()))
    labels = y.argmax(0)
    write(name, {"size": [h, w], "labels": ["".join(chr(65 + v) for v in row) for row in labels.tolist()]})

def detector(eps):
    h, w = 120, 150
    gains = {}
    def build():
        m = torchvision.models.detection.retinanet_resnet50_fpn(weights_backbone=None, min_size=h, max_size=w)
        m.arch = "retinanet_resnet50_fpn"
        for x in m.modules():
            if isinstance(x, torch.nn.BatchNorm2d): x.eps = eps
        return fill(m, gains)
    img = image((3, h, w)) / 2 + 0.5
    # Gains bring logits and deltas to the spread of a trained network's.
    model = build()
    def raw(m):
        with torch.no_grad():
            images, _ = m.transform([img.clone()], None)
            feats = list(m.backbone(images.tensors).values())
            return m.head(feats)
    out = raw(model)
    c, r = "head.classification_head.cls_logits.", "head.regression_head.bbox_reg."
    gains[c + "weight"] = float("%.3g" % (1.2 / float(out["cls_logits"].std())))
    gains[r + "weight"] = float("%.3g" % (0.3 / float(out["bbox_regression"].std())))
    gains[c + "bias"] = 0.0
    model = build()
    shift = -7.0
    with torch.no_grad(): model.head.classification_head.cls_logits.bias.fill_(shift)
    out = raw(model)
    with torch.no_grad(): found = model([img.clone()])[0]
    print("retinanet std", float(out["cls_logits"].std()), float(out["bbox_regression"].std()), "found", len(found["scores"]), found["scores"][:3], found["scores"][-3:])
    boxes = found["boxes"]
    whole = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    print("boxes without area:", int((~whole).sum()))
    write("retinanet_resnet50_fpn" + ("_eps0" if eps == 0 else ""), {
        "size": [h, w], "gains": {k: v for k, v in gains.items()}, "class_bias": shift, "eps0": eps == 0,
        "first_logits": f(out["cls_logits"][0, 700:702].flatten().tolist()), "first_deltas": f(out["bbox_regression"][0, 700:710].flatten().tolist()),
        "boxes": [f(b) for b in boxes[whole].tolist()], "scores": f(found["scores"][whole].tolist()), "labels": found["labels"][whole].tolist()})

torch.manual_seed(0)
detector(1e-5)
detector(0.0)
classifier("resnet50", 64)
classifier("resnext50_32x4d", 64)
segmenter("deeplabv3_resnet50", 72, 88)
classifier("vit_b_16", 224)
picture("resnet50", 280, 320)
