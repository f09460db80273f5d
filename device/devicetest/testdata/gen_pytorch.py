#!/usr/bin/env python3
"""Writes pytorch.json: what PyTorch 1.13 and torchvision 0.14 compute in float64
for every operation of package device, on small shapes (dropout's mask is computed in
Python as package device defines it). Run it in this folder.

One case is {kind, op, steps, start, out}: op holds the fields of the Go
descriptor; steps the inputs of each run; start the first content of outputs that
are read and written; out the outputs after the last run. A tensor is {"f": floats},
{"i": int32s} or {"b": bytes}, activations in NHWC order, filters in OIHW order.
Inputs are rounded to three decimals to keep the file small.
"""
import json

import torch
import torch.nn.functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torchvision.ops import sigmoid_focal_loss

torch.set_default_dtype(torch.float64)
torch.manual_seed(20)
cases = []


def rnd(*shape, grad=True):
    t = (torch.randn(*shape) * 1000).round() / 1000
    return t.requires_grad_() if grad else t


def nhwc(t):
    return t.permute(0, 2, 3, 1) if t.dim() == 4 else t


def f(t):
    return {"f": t.detach().reshape(-1).tolist()}


def act(t):
    return f(nhwc(t.detach()).contiguous())


def ints(t):
    return {"i": [int(v) for v in t.reshape(-1)]}


def byts(t):
    return {"b": [int(v) for v in nhwc(t.detach()).contiguous().reshape(-1)]}


def emit(kind, op, steps, out, start=None):
    case = {"kind": kind, "op": op, "steps": steps, "out": out}
    if start:
        case["start"] = {str(k): v for k, v in start.items()}
    cases.append(case)


def conv(n, h, w, ic, oc, k, s, p, d, g, bias, relu):
    op = dict(N=n, H=h, W=w, IC=ic, OC=oc, KH=k[0], KW=k[1], SH=s[0], SW=s[1], PH=p[0], PW=p[1], DH=d[0], DW=d[1],
              Groups=g, Bias=bias, ReLU=relu)
    x, wt, b = rnd(n, ic, h, w), rnd(oc, ic // g, *k), rnd(oc)
    y = F.conv2d(x, wt, b if bias else None, s, p, d, g)
    dy = rnd(*y.shape, grad=False)
    grads = torch.autograd.grad(y, [x, wt] + ([b] if bias else []), dy)
    emit("conv", op, [[act(x), f(wt)] + ([f(b)] if bias else [])], [act(F.relu(y) if relu else y)])
    emit("conv.backward_data", op, [[act(dy), f(wt)]], [act(grads[0])])
    emit("conv.backward_weights", op, [[act(x), act(dy)]], [f(t) for t in grads[1:]])


conv(2, 5, 6, 3, 4, (3, 3), (1, 1), (1, 1), (1, 1), 1, True, False)
conv(1, 7, 9, 4, 6, (3, 3), (2, 2), (1, 1), (1, 1), 2, False, True)
conv(2, 6, 7, 4, 4, (3, 3), (1, 1), (2, 2), (2, 2), 4, True, True)
conv(1, 9, 8, 2, 3, (3, 3), (1, 1), (4, 4), (4, 4), 1, False, False)
conv(1, 8, 9, 3, 2, (7, 7), (2, 2), (3, 3), (1, 1), 1, False, False)
conv(2, 5, 5, 3, 6, (5, 3), (1, 2), (2, 1), (1, 1), 3, True, False)
conv(3, 1, 1, 5, 4, (1, 1), (1, 1), (0, 0), (1, 1), 1, True, False)
conv(1, 4, 7, 2, 3, (3, 2), (2, 3), (1, 0), (1, 2), 1, True, False)

for stride, groups, bias, relu in [(1, 1, True, True), (2, 2, False, False)]:
    op = dict(N=2, H=5, W=4, IC=4, OC=6, KH=1, KW=1, SH=stride, SW=stride, PH=0, PW=0, DH=1, DW=1, Groups=groups, Bias=bias, ReLU=relu, Sum=True)
    x, wt, b = rnd(2, 4, 5, 4), rnd(6, 4 // groups, 1, 1), rnd(6)
    y = F.conv2d(x, wt, b if bias else None, stride, 0, 1, groups)
    z = rnd(*y.shape)
    emit("conv", op, [[act(x), f(wt)] + ([f(b)] if bias else []) + [act(z)]], [act(F.relu(y + z) if relu else y + z)])

for m, k, n, bias in [(3, 5, 4, True), (1, 7, 2, False)]:
    op = dict(M=m, K=k, N=n, Bias=bias)
    x, w, b = rnd(m, k), rnd(n, k), rnd(n)
    y = F.linear(x, w, b if bias else None)
    dy = rnd(m, n, grad=False)
    grads = torch.autograd.grad(y, [x, w] + ([b] if bias else []), dy)
    emit("linear", op, [[f(x), f(w)] + ([f(b)] if bias else [])], [f(y)])
    emit("linear.backward_data", op, [[f(dy), f(w)]], [f(grads[0])])
    emit("linear.backward_weights", op, [[f(x), f(dy)]], [f(t) for t in grads[1:]])

for n, h, w, c, eps in [(2, 3, 4, 3, 1e-5), (1, 5, 2, 4, 1e-3), (4, 1, 1, 2, 1e-5)]:
    for relu in (False, True):
        for glob in (False, True):
            op = dict(N=n, H=h, W=w, C=c, Eps=eps, ReLU=relu, Global=glob)
            x, gamma, beta = rnd(n, c, h, w), rnd(c), rnd(c)
            if glob:
                mean, var = rnd(c, grad=False), rnd(c, grad=False).abs() + 0.1
                y = F.batch_norm(x, mean, var, gamma, beta, False, 0.1, eps)
            else:
                mean, var = x.mean((0, 2, 3)).detach(), x.var((0, 2, 3), unbiased=False).detach()
                y = F.batch_norm(x, None, None, gamma, beta, True, 0.1, eps)
            if relu:
                y = F.relu(y)
            dy = rnd(*y.shape, grad=False)
            grads = torch.autograd.grad(y, [x, gamma, beta], dy)
            mask = [byts(y > 0)] if relu else []
            stats = [f(mean), f(var)]
            emit("bn", op, [[act(x), f(gamma), f(beta)] + (stats if glob else [])], [act(y)] + ([] if glob else stats) + mask)
            emit("bn.backward", op, [[act(x), act(dy), f(gamma)] + stats + mask], [act(grads[0]), f(grads[1]), f(grads[2])])

for n, h, w, c, momentum in [(2, 3, 4, 3, 0.1), (2, 1, 1, 2, 0.01)]:
    bn = torch.nn.BatchNorm2d(c, momentum=momentum)
    bn.running_mean.copy_(rnd(c, grad=False))
    bn.running_var.copy_(rnd(c, grad=False).abs() + 0.5)
    start = {0: f(bn.running_mean.clone()), 1: f(bn.running_var.clone())}
    steps = []
    for _ in range(3):
        x = rnd(n, c, h, w, grad=False)
        bn(x)
        steps.append([f(x.mean((0, 2, 3))), f(x.var((0, 2, 3), unbiased=False))])
    emit("bn.running", dict(C=c, Rows=n * h * w, Momentum=momentum), steps, [f(bn.running_mean), f(bn.running_var)], start)

for shape, groups, bias in [((4, 3, 3, 2), 1, False), ((6, 2, 1, 1), 2, True)]:
    w, b, gamma, beta, mean, var = rnd(*shape), rnd(shape[0]), rnd(shape[0]), rnd(shape[0]), rnd(shape[0]), rnd(shape[0], grad=False).abs() + 0.1
    folded = fuse_conv_bn_weights(w, b if bias else None, mean, var, 1e-3, gamma, beta)
    op = dict(Filter=dict(Layout=1, Shape=list(shape), Groups=groups), Eps=1e-3, Bias=bias)
    emit("bn.fold", op, [[f(t) for t in (w, gamma, beta, mean, var)] + ([f(b)] if bias else [])], [f(t) for t in folded])

pools = [
    (2, 5, 7, 3, (3, 3), (2, 2), (1, 1), False), (1, 6, 5, 2, (3, 2), (2, 2), (1, 0), True), (1, 5, 5, 2, (2, 2), (2, 2), (0, 0), True),
    (1, 7, 6, 2, (3, 3), (2, 2), (1, 1), True), (1, 5, 6, 2, (2, 3), (3, 1), (1, 1), True), (1, 1, 1, 3, (3, 3), (2, 2), (1, 1), False),
    (1, 6, 6, 2, (3, 3), (1, 1), (1, 1), False),
]
for n, h, w, c, k, s, p, ceil in pools:
    op = dict(N=n, H=h, W=w, C=c, KH=k[0], KW=k[1], SH=s[0], SW=s[1], PH=p[0], PW=p[1], Ceil=ceil)
    for ties in (False, True):
        x = (torch.randn(n, c, h, w).round() - 4).requires_grad_() if ties else (rnd(n, c, h, w, grad=False) - 4).requires_grad_()
        y, at = F.max_pool2d(x, k, s, p, 1, ceil, True)
        oh = torch.arange(y.shape[2]).reshape(1, 1, -1, 1)
        ow = torch.arange(y.shape[3]).reshape(1, 1, 1, -1)
        window = (at // w - (oh * s[0] - p[0])) * k[1] + at % w - (ow * s[1] - p[1])
        dy = rnd(*y.shape, grad=False)
        dx, = torch.autograd.grad(y, [x], dy)
        emit("maxpool", op, [[act(x)]], [act(y), byts(window)])
        emit("maxpool.backward", op, [[byts(window), act(dy)]], [act(dx)])
    for count in (False, True):
        x = rnd(n, c, h, w)
        y = F.avg_pool2d(x, k, s, p, ceil, count)
        dy = rnd(*y.shape, grad=False)
        dx, = torch.autograd.grad(y, [x], dy)
        emit("avgpool", dict(op, CountPad=count), [[act(x)]], [act(y)])
        emit("avgpool.backward", dict(op, CountPad=count), [[act(dy)]], [act(dx)])

x = rnd(2, 3, 4, 5)
y = F.adaptive_avg_pool2d(x, 1)
dy = rnd(2, 3, 1, 1, grad=False)
dx, = torch.autograd.grad(y, [x], dy)
op = dict(N=2, H=4, W=5, C=3)
emit("gap", op, [[act(x)]], [act(y)])
emit("gap.backward", op, [[act(dy)]], [act(dx)])

for (h, w), (oh, ow) in [((4, 5), (8, 10)), ((4, 5), (7, 9)), ((5, 4), (5, 4)), ((7, 6), (3, 4)), ((1, 1), (3, 2)), ((4, 3), (1, 1)), ((3, 5), (6, 3))]:
    for mode, (name, aligned) in enumerate([("nearest", None), ("bilinear", False), ("bilinear", True)]):
        x = rnd(2, 2, h, w)
        y = F.interpolate(x, (oh, ow), mode=name, align_corners=aligned)
        dy = rnd(*y.shape, grad=False)
        dx, = torch.autograd.grad(y, [x], dy)
        op = dict(N=2, H=h, W=w, C=2, OH=oh, OW=ow, Mode=mode)
        emit("resize", op, [[act(x)]], [act(y)])
        emit("resize.backward", op, [[act(dy)]], [act(dx)])

x, dy = rnd(9), rnd(9, grad=False)
y = F.relu(x)
emit("relu", dict(Size=9), [[f(x)]], [f(y)])
emit("relu.backward", dict(Size=9), [[f(y), f(dy)]], [f(torch.autograd.grad(y, [x], dy)[0])])
for relu in (False, True):
    a, b = rnd(9), rnd(9)
    emit("add", dict(Of=dict(Shape=[9]), ReLU=relu), [[f(a), f(b)]], [f(F.relu(a + b) if relu else a + b)])
s, a, b, dy = rnd(1), rnd(9), rnd(9), rnd(9, grad=False)
y = s * a + (2 - s) * b
da, db, ds = torch.autograd.grad(y, [a, b, s], dy)
emit("fuse", dict(Size=9), [[f(s), f(a), f(b)]], [f(y)])
emit("fuse.backward", dict(Size=9), [[f(s), f(a), f(b), f(dy)]], [f(da), f(db), f(ds)])
emit("fill", dict(Of=dict(Shape=[4]), Value=-0.3), [[]], [f(torch.full((4,), -0.3))])
parts = [rnd(3, k) for k in (2, 1, 4)]
emit("concat", dict(Outer=3, Sizes=[2, 1, 4]), [[f(t) for t in parts]], [f(torch.cat(parts, 1))])
x = rnd(3, 7)
for at, size in [(0, 3), (5, 2), (2, 4)]:
    op = dict(Outer=3, Total=7, From=at, Size=size)
    y = x[:, at:at + size]
    dy = rnd(3, size, grad=False)
    emit("slice", op, [[f(x)]], [f(y)])
    emit("slice.backward", op, [[f(dy)]], [f(torch.autograd.grad(y, [x], dy)[0])])

BACKGROUND, IGNORE = -1, -2
for rows, classes, alpha, gamma, extreme in [(6, 4, 0.25, 2.0, False), (6, 4, 0.25, 2.0, True), (5, 1, 0.6, 1.5, False), (6, 3, 0.25, 0.0, False)]:
    labels = torch.tensor([0, classes - 1, BACKGROUND, IGNORE, classes // 2, BACKGROUND][:rows])
    logits = rnd(rows, classes)
    if extreme:
        logits = (torch.randint(-1, 2, (rows, classes)) * 80.0).requires_grad_()
    norm, dloss = 3.0, 0.75
    targets = torch.zeros(rows, classes)
    for r, l in enumerate(labels):
        if l >= 0:
            targets[r, l] = 1
    keep = labels != IGNORE
    loss = sigmoid_focal_loss(logits[keep], targets[keep], alpha, gamma, "sum") / norm
    grad, = torch.autograd.grad(loss, [logits], torch.tensor(dloss))
    op = dict(Rows=rows, Classes=classes, Alpha=alpha, Gamma=gamma)
    ins = [f(logits), ints(labels), {"f": [norm]}]
    emit("focal", op, [ins], [f(loss)])
    emit("focal.backward", op, [ins + [{"f": [dloss]}]], [f(grad)])

for beta in (0.0, 1.0, 1 / 9):
    labels = torch.tensor([0, -1, 3, -2, 79])
    pred, target, norm, dloss = rnd(5, 4), rnd(5, 4, grad=False), 4.0, 0.75
    target[0, 0] = pred[0, 0].detach()
    target[2, 1] = pred[2, 1].detach() + beta / 2
    keep = labels >= 0
    # With beta 0 smooth_l1_loss's backward gives -1 where the two are equal; l1_loss
    # gives 0, the middle of the subgradients, and that is what we follow.
    if beta > 0:
        loss = F.smooth_l1_loss(pred[keep], target[keep], reduction="sum", beta=beta) / norm
    else:
        loss = F.l1_loss(pred[keep], target[keep], reduction="sum") / norm
    grad, = torch.autograd.grad(loss, [pred], torch.tensor(dloss))
    op = dict(Rows=5, Dim=4, Beta=beta)
    ins = [f(pred), f(target), ints(labels), {"f": [norm]}]
    emit("smoothl1", op, [ins], [f(loss)])
    emit("smoothl1.backward", op, [ins + [{"f": [dloss]}]], [f(grad)])

for rows, classes, ignore, scale in [(6, 5, 255, 1.0), (4, 3, -100, 80.0), (3, 2, 0, 1.0)]:
    labels = torch.tensor([0, classes - 1, ignore, 1, ignore, 2][:rows])
    logits, dloss = rnd(rows, classes), 0.75
    if scale != 1:
        logits = (logits.detach().sign() * scale).requires_grad_()
    loss = F.cross_entropy(logits, labels, ignore_index=ignore)
    grad, = torch.autograd.grad(loss, [logits], torch.tensor(dloss))
    op = dict(Rows=rows, Classes=classes, IgnoreIndex=ignore)
    emit("crossentropy", op, [[f(logits), ints(labels)]], [f(loss)])
    emit("crossentropy.backward", op, [[f(logits), ints(labels), {"f": [dloss]}]], [f(grad)])


# Losses of segmentation. torch gives NaN where every pixel is ignored, we 0: no
# such case here. MinKept of 0 with a threshold, of more pixels than there are, and
# in between.
for (h, w), (oh, ow), c, ignored, threshold, kept in [
        ((3, 4), (7, 9), 4, 0.3, 0, 0), ((3, 4), (12, 16), 5, 0.0, 0, 0), ((4, 3), (4, 3), 3, 0.3, 0, 0), ((5, 4), (2, 3), 3, 0.2, 0, 0),
        ((1, 1), (3, 2), 2, 0.2, 0, 0), ((3, 4), (7, 9), 4, 0.3, 0.2, 0), ((3, 4), (7, 9), 4, 0.3, 0.01, 40), ((3, 4), (7, 9), 4, 0.3, 0, 7),
        ((3, 2), (6, 5), 3, 0.2, 0.1, 1000)]:
    x, dloss, weight = rnd(2, c, h, w), 0.75, 0.4
    labels = torch.randint(0, c, (2, oh, ow))
    labels[torch.rand(labels.shape) < ignored] = 255
    up = F.interpolate(x, (oh, ow), mode="bilinear", align_corners=False)
    losses = F.cross_entropy(up, labels, ignore_index=255, reduction="none")
    valid = labels != 255
    limit = -1.0
    if (threshold or kept) and kept < valid.sum():
        p = torch.exp(-losses.detach()[valid]).sort()[0]
        bound = max(threshold, float(p[kept - 1])) if kept else threshold
        keep = valid & (torch.exp(-losses.detach()) <= bound + 1e-12)
        limit = float(-torch.log(torch.tensor(bound)))
    else:
        keep = valid
    if not (threshold or kept):
        loss = weight * F.cross_entropy(up, labels, ignore_index=255)
    else:
        loss = weight * losses[keep].mean()
    grad, = torch.autograd.grad(loss, [x], torch.tensor(dloss))
    op = dict(N=2, H=h, W=w, C=c, OH=oh, OW=ow, IgnoreIndex=255, Weight=weight, Threshold=threshold, MinKept=kept)
    state = {"f": [weight / int(keep.sum()), limit]}
    # The gradient's limit lies below the smallest loss that is kept by more than
    # rounding.
    lower = {"f": [state["f"][0], limit - 1e-9]}
    emit("pixel_crossentropy", op, [[act(x), ints(labels)]], [f(loss), state])
    emit("pixel_crossentropy.backward", op, [[act(x), ints(labels), lower, {"f": [dloss]}]], [act(grad)])

for scale in (1.0, 40.0):
    x, target, weight, dloss = rnd(11), torch.rand(11), 2.5, 0.75
    if scale != 1:
        x = (x.detach().sign() * scale).requires_grad_()
    target[:3] = torch.tensor([0.0, 1.0, 0.5])
    loss = weight * F.binary_cross_entropy_with_logits(x, target)
    grad, = torch.autograd.grad(loss, [x], torch.tensor(dloss))
    op = dict(Size=11, Weight=weight)
    emit("sigmoid_bce", op, [[f(x), f(target)]], [f(loss)])
    emit("sigmoid_bce.backward", op, [[f(x), f(target), {"f": [dloss]}]], [f(grad)])


def kept(n, p, seed, step):
    """The mask as device.Dropout documents it, in Python's integers."""
    M, m = (1 << 64) - 1, (1 << 32) - 1
    z = (seed + (step + 1) * 0x9E3779B97F4A7C15) & M
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & M
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & M
    z ^= z >> 31
    a, b = z & m, z >> 32

    def mix(x):
        x = ((x ^ x >> 16) * 0x85EBCA6B) & m
        x = ((x ^ x >> 13) * 0xC2B2AE35) & m
        return x ^ x >> 16
    return torch.tensor([float(mix((mix(i ^ a) + b) & m) >= round(p * 2 ** 32)) for i in range(n)])


for p, seed, step in [(0.5, 0xFEDCBA9876543210, 0), (0.1, 3, 12345), (0.0, 5, 1)]:
    x = rnd(40)
    emit("dropout", dict(Size=40, P=p, Seed=seed), [[f(x), {"i": [step]}]], [f(x * kept(40, p, seed, step) / (1 - p))])


def train(kind, op, make, slots, betas=(0.0, 0.0)):
    """Four steps of a torch optimizer; slots names its state in output order."""
    p = torch.nn.Parameter(rnd(5, grad=False))
    start = {0: f(p.clone())}
    for i in range(len(slots)):
        start[i + 1] = f(torch.zeros(5))
    opt = make([p])
    steps = []
    for t in range(1, 5):
        lr, clip = 0.1 / t, [1.0, 0.375][t % 2]
        opt.param_groups[0]["lr"] = lr * op["LRScale"]
        g = rnd(5, grad=False)
        p.grad = g * clip
        opt.step()
        hyper = [lr, clip, float(t == 1), 1 - betas[0] ** t, 1 - betas[1] ** t]
        steps.append([f(g), {"f": hyper}])
    state = opt.state[p]
    out = [f(p)] + [f(state[s] if state.get(s) is not None else torch.zeros(5)) for s in slots]
    emit(kind, dict(op, Of=dict(Shape=[5])), steps, out, start)


for momentum, wd, nesterov in [(0, 0, False), (0.9, 1e-2, False), (0.9, 1e-2, True), (0, 0.1, False)]:
    train("sgd", dict(Momentum=momentum, WeightDecay=wd, Nesterov=nesterov, LRScale=0.5),
          lambda p: torch.optim.SGD(p, 1, momentum, 0, wd, nesterov), ["momentum_buffer"])
for betas, eps, wd in [((0.9, 0.999), 1e-8, 0.05), ((0.8, 0.95), 1e-3, 0.0)]:
    train("adamw", dict(Beta1=betas[0], Beta2=betas[1], Eps=eps, WeightDecay=wd, LRScale=0.5),
          lambda p: torch.optim.AdamW(p, 1, betas, eps, wd), ["exp_avg", "exp_avg_sq"], betas)

e, steps = rnd(5, grad=False), []
start = {0: f(e)}
for _ in range(3):
    p = rnd(5, grad=False)
    e = 0.9 * e + (1 - 0.9) * p
    steps.append([f(p)])
emit("ema", dict(Of=dict(Shape=[5]), Momentum=0.9), steps, [f(e)], start)
a, b = rnd(9, grad=False), rnd(9, grad=False)
emit("norm2", dict(Of=dict(Shape=[9])), [[f(a)]], [f(1.5 + a.norm() ** 2)], {0: {"f": [1.5]}})
emit("distance2", dict(Of=dict(Shape=[9])), [[f(a), f(b)]], [f(1.5 + ((a - b) ** 2).sum())], {0: {"f": [1.5]}})

for rows, classes, smoothing, weight in [(5, 7, 0.1, 1.0), (3, 4, 0.0, 0.75), (1, 10, 0.3, 2.0)]:
    x = rnd(rows, classes)
    labels = torch.randint(0, classes, (rows,))
    target = (1 - smoothing) * F.one_hot(labels, classes).double() + smoothing / classes
    loss = weight * F.cross_entropy(x, labels, label_smoothing=smoothing)
    grad, = torch.autograd.grad(loss, [x], torch.tensor(0.75).double())
    op = dict(Rows=rows, Classes=classes, Weight=weight)
    emit("soft_crossentropy", op, [[f(x), f(target)]], [f(loss)])
    emit("soft_crossentropy.backward", op, [[f(x), f(target), {"f": [0.75]}]], [f(grad)])

for rows, dim, temperature, weight, labels in [(6, 5, 0.07, 1.0, [0, 1, 0, 2, 1, 0]), (5, 8, 0.5, 0.3, [0, 1, 2, 3, 4]), (8, 3, 0.2, 2.0, [1] * 8)]:
    x, y = rnd(rows, dim), torch.tensor(labels)
    z = F.normalize(x, dim=1)
    z = z @ z.T / temperature
    others = ~torch.eye(rows, dtype=torch.bool)
    logp = z - torch.logsumexp(z.masked_fill(~others, -torch.inf), 1, keepdim=True)
    pos = ((y[:, None] == y) & others).double()
    loss = -weight * ((pos * logp).sum(1) / pos.sum(1).clamp(min=1)).mean()
    grad, = torch.autograd.grad(loss, [x], torch.tensor(0.75).double())
    op = dict(Rows=rows, Dim=dim, Temperature=temperature, Weight=weight)
    emit("supcon", op, [[f(x), {"i": labels}]], [f(loss)])
    emit("supcon.backward", op, [[f(x), {"i": labels}, {"f": [0.75]}]], [f(grad)])

for images, cells, c, classes, weight, labels in [(5, 6, 4, 3, 1.0, [0, 1, 0, 2, 1]), (4, 1, 6, 10, 0.5, [9, 3, 3, 0]), (3, 9, 2, 2, 2.0, [1, 1, 0])]:
    x = rnd(images, cells, c)

    def cosines(v):
        v = v - v.mean(1, keepdim=True)
        v = v / (1e-8 + v.pow(2).sum(1, keepdim=True).sqrt())
        return v @ v.T
    r = cosines(x.std(1) if cells > 1 else x[:, 0])
    t = cosines(F.one_hot(torch.tensor(labels), classes).double())
    loss = weight * F.mse_loss(r, t)
    grad, = torch.autograd.grad(loss, [x], torch.tensor(0.75).double())
    op = dict(N=images, Cells=cells, C=c, Classes=classes, Weight=weight)
    emit("similarity", op, [[f(x), {"i": labels}]], [f(loss)])
    emit("similarity.backward", op, [[f(x), {"i": labels}, {"f": [0.75]}]], [f(grad)])

# Transformers.
for rows, c, eps in [(3, 5, 1e-6), (2, 1, 1e-6), (4, 8, 1e-3)]:
    op = dict(Rows=rows, C=c, Eps=eps)
    x, gamma, beta, dy = rnd(rows, c), rnd(c), rnd(c), rnd(rows, c, grad=False)
    y = F.layer_norm(x, (c,), gamma, beta, eps)
    emit("layernorm", op, [[f(x), f(gamma), f(beta)]], [f(y)])
    emit("layernorm.backward", op, [[f(x), f(dy), f(gamma)]], [f(t) for t in torch.autograd.grad(y, [x, gamma, beta], dy)])
x, dy = (3 * rnd(12, grad=False)).requires_grad_(), rnd(12, grad=False)
y = F.gelu(x)
emit("gelu", dict(Size=12), [[f(x)]], [f(y)])
emit("gelu.backward", dict(Size=12), [[f(x), f(dy)]], [f(torch.autograd.grad(y, [x], dy)[0])])
for n, t, heads, dim, scale in [(2, 4, 2, 3, 0.5), (1, 1, 1, 2, 1.0), (1, 5, 3, 2, 3.0)]:
    op = dict(N=n, T=t, Heads=heads, Dim=dim, Scale=scale)
    qkv, dy = rnd(n, t, 3, heads, dim), rnd(n, t, heads, dim, grad=False)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    y = ((scale * q @ k.transpose(-1, -2)).softmax(-1) @ v).transpose(1, 2)
    emit("attention", op, [[f(qkv)]], [f(y)])
    emit("attention.backward", op, [[f(qkv), f(dy)]], [f(torch.autograd.grad(y, [qkv], dy)[0])])
x, cls, pos, dy = rnd(2, 3, 4), rnd(1, 1, 4), rnd(1, 4, 4), rnd(2, 4, 4, grad=False)
y = torch.cat([cls.expand(2, -1, -1), x], 1) + pos
emit("tokens", dict(N=2, Patches=3, D=4), [[f(x), f(cls), f(pos)]], [f(y)])
emit("tokens.backward", dict(N=2, Patches=3, D=4), [[f(dy)]], [f(t) for t in torch.autograd.grad(y, [x, cls, pos], dy)])
a, b = rnd(9, grad=False), rnd(9, grad=False)
emit("average", dict(Of=dict(Shape=[9]), Momentum=0.9), [[f(a), f(b)]], [f(torch.lerp(b, a, 0.9))])

with open("pytorch.json", "w") as out:
    out.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
print(len(cases), "cases,", torch.__version__)
