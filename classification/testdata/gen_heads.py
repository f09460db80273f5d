"""Losses and gradients of local heads as PyTorch 1.13 computes them in float64, from
METHOD sections 1.4, 1.5 and 5.3: heads.json. Inputs and parameters follow from their
names by the formula of internal/golden (seed 7)."""
import json
import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
SEED, CLASSES, FEATURES = 7, 5, 12
M = np.uint64


def u(name, n):
    h = 0xcbf29ce484222325
    for b in name.encode():
        h = (h ^ b) * 0x100000001b3 & (1 << 64) - 1
    with np.errstate(over="ignore"):
        z = M(h) + M(SEED) + np.arange(n, dtype=M) + M(0x9E3779B97F4A7C15)
        z = (z ^ z >> M(30)) * M(0xBF58476D1CE4E5B9)
        z = (z ^ z >> M(27)) * M(0x94D049BB133111EB)
        z = z ^ z >> M(31)
    return torch.from_numpy((z >> M(11)).astype(np.float64) * 2.0**-53 * 2 - 1)


def start(name, shape):
    n = math.prod(shape)
    if len(shape) >= 2:
        x = u(name, n) * math.sqrt(6 * shape[0] / n)
    elif name.endswith(".weight"):
        x = 1 + 0.2 * u(name, n)
    else:
        x = 0.1 * u(name, n)
    return x.float().double().reshape(shape)


def conv(i, o, k, s=1, bias=False):
    return [nn.Conv2d(i, o, k, s, k // 2, bias=bias), nn.BatchNorm2d(o), nn.ReLU()]


def infopro(c, convs, fcs, out, last):
    layers, width = [], c
    for i in range(convs):
        stride = 1 if last or i else 2
        wide = width if stride == 1 else 2 * width
        layers += conv(width, wide, 3, stride)
        width = wide
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    for _ in range(fcs - 1):
        layers += [nn.Linear(width, FEATURES), nn.ReLU()]
        width = FEATURES
    return nn.Sequential(*layers, nn.Linear(width, out))


class DGL(nn.Sequential):
    def __init__(self, c):
        f = FEATURES
        layers = conv(c, f, 1) + conv(f, f, 1) + conv(f, f, 1) + [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        w = f
        for _ in range(3):
            layers += [nn.Linear(w, 4 * f), nn.BatchNorm1d(4 * f), nn.ReLU()]
            w = 4 * f
        super().__init__(*layers, nn.Linear(w, CLASSES))

    def forward(self, x):
        return super().forward(F.adaptive_avg_pool2d(x, 8))


def imagenet(c):
    return nn.Sequential(*conv(c, c // 4, 1), *conv(c // 4, 256, 3, 2), *conv(256, 512, 3, 2), *conv(512, 2048, 1),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, CLASSES))


class Decoder(nn.Sequential):
    def __init__(self, c, size):
        super().__init__(*conv(c, 12, 3, bias=True), nn.Conv2d(12, 3, 3, padding=1))
        self.size = size

    def forward(self, x):
        return super().forward(F.interpolate(x, size=self.size, mode="bilinear", align_corners=True))


def up(size):
    return nn.Upsample(size=size, mode="bilinear", align_corners=True)


def big_decoder(c, stride, h, w):
    at = [(12, 3), (32, 3), (128, 1)] if stride == 8 else [(12, 3), (32, 3), (64, 1), (192, 1)]
    layers, width = [], c
    for i in reversed(range(len(at))):
        layers += conv(width, at[i][0], at[i][1], bias=True) + [up([h >> i, w >> i])]
        width = at[i][0]
    return nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1))


class PredSim(nn.Module):
    def __init__(self, c, h, w):
        super().__init__()
        self.size = 1
        while c * (h // self.size) * (w // self.size) > 4096:
            self.size *= 2
        self.pred = nn.Linear(c * (h // self.size) * (w // self.size), CLASSES)
        self.sim = nn.Conv2d(c, c, 3, padding=1, bias=False)

    def forward(self, x):
        p = F.avg_pool2d(x, self.size).permute(0, 2, 3, 1).flatten(1)  # NHWC, as the rows of pred lie
        return self.pred(p), self.sim(x).flatten(2).std(2)


def supcon(x, y, t):
    z = F.normalize(x, dim=1)
    z = z @ z.T / t
    others = ~torch.eye(len(y), dtype=torch.bool)
    logp = z - torch.logsumexp(z.masked_fill(~others, -torch.inf), 1, keepdim=True)
    pos = ((y[:, None] == y) & others).double()
    return -((pos * logp).sum(1) / pos.sum(1).clamp(min=1)).mean()


def cosines(v):
    v = v - v.mean(1, keepdim=True)
    v = v / (1e-8 + v.pow(2).sum(1, keepdim=True).sqrt())
    return v @ v.T


labels = [0, 3, 0, 4]
cases = []


def case(kind, mode, c, h, w, stage, stride):
    n, y = len(labels), torch.tensor(labels)
    H, W = h * stride, w * stride
    x = (0.5 * u("y", n * c * h * w)).float().double().reshape(n, c, h, w).requires_grad_()
    out = FEATURES if mode == "contrast" else CLASSES
    head = {"dgl": lambda: DGL(c), "imagenet": lambda: imagenet(c), "predsim": lambda: PredSim(c, h, w)}.get(
        kind, lambda: infopro(c, int(kind[0]), int(kind[2]), out, stage == 3))()
    parts = {"classifier.": head} if kind != "predsim" else {"": head}
    if mode == "recon":
        parts["decoder."] = Decoder(c, [H, W]) if kind != "imagenet" else big_decoder(c, stride, H, W)
    params = {}
    with torch.no_grad():
        for prefix, part in parts.items():
            for name, p in part.named_parameters():
                params["head." + prefix + name] = p
                p.copy_(start("head." + prefix + name, list(p.shape)))
    head.train()
    if kind == "predsim":
        logits, features = head(x)
        t = cosines(F.one_hot(y, CLASSES).double())
        losses = [0.01 * F.cross_entropy(logits, y), 0.99 * F.mse_loss(cosines(features), t)]
    elif mode == "contrast":
        losses = [0.5 * supcon(head(x), y, 0.07)]
    else:
        losses = [0.5 * F.cross_entropy(head(x), y)]
    if mode == "recon":
        image = ((u("image", n * 3 * H * W) + 1) / 2).float().double().reshape(n, 3, H, W)
        losses.append(5 * F.binary_cross_entropy_with_logits(parts["decoder."](x), image))
    grads = torch.autograd.grad(sum(losses), [x, *params.values()])

    def probe(name, g):
        g = g.detach()
        return dict(shape=list(g.shape), l2=g.norm().item(), probe=(g.flatten() * u("probe:" + name, g.numel())).sum().item())
    cases.append(dict(kind=kind, mode=mode, c=c, h=h, w=w, stage=stage, stride=stride, losses=[v.item() for v in losses],
                      grads={name: probe(name, g) for name, g in zip(["y", *params], grads)}))


for kind in ["0c1f", "0c2f", "1c1f", "1c2f", "1c3f", "2c2f"]:
    case(kind, "ce", 6, 8, 8, 2, 2)
    case(kind, "contrast", 6, 7, 5, 3, 4)
case("2c2f", "recon", 4, 8, 6, 2, 2)
case("1c2f", "recon", 4, 16, 16, 1, 1)
case("dgl", "ce", 6, 32, 32, 1, 1)
case("dgl", "ce", 6, 8, 8, 3, 4)
case("predsim", "ce", 6, 8, 8, 2, 2)
case("predsim", "ce", 20, 16, 16, 2, 2)
case("imagenet", "recon", 16, 6, 4, 2, 8)
case("imagenet", "recon", 16, 4, 4, 3, 16)
with open("heads.json", "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
print(len(cases), "cases,", torch.__version__)
