"""Writes release_<network>.txt, the names and shapes of the state_dicts that the
official MAN++ release trains and saves (JunhaoSu0/MAN_PlusPlus, HEAD 7b2d8a9), and
release.json, what its networks compute in eval mode with weights made by formula
(PyTorch 1.13, float32). The argument is the folder of a checkout of the release.

Weights by state_dict name (internal/golden's streams, seed 1): parameters are
golden.Param's; running_mean is 0.1u, running_var 1 + 0.3u. A tensor that is stored
twice has the value of its first name. The input is named "input", NCHW.
"""
import importlib, json, math, os, sys
import numpy as np
import torch

SEED = 1
M = (1 << 64) - 1
HERE = os.path.dirname(os.path.abspath(__file__))
# The release wants a GPU while it builds; nothing is moved here.
torch.Tensor.cuda = lambda self, *a, **k: self
torch.nn.Module.cuda = lambda self, *a, **k: self

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
    else: x = 1 + 0.3 * x
    return torch.from_numpy(x.astype(np.float32)).reshape(shape)

def part(folder, module):
    """One module of one of the release's three parts, which all are called networks."""
    for m in [m for m in sys.modules if m == "networks" or m.startswith("networks.")]:
        del sys.modules[m]
    sys.path.insert(0, os.path.join(sys.argv[1], folder))
    try: return importlib.import_module("networks." + module)
    finally: sys.path.pop(0)

def filled(name, model):
    with open(os.path.join(HERE, "release_%s.txt" % name), "w") as out:
        for k, v in model.state_dict().items():
            out.write(" ".join([k] + [str(n) for n in v.shape]) + "\n")
    with torch.no_grad():
        for k, v in list(model.named_parameters()) + list(model.named_buffers()):
            if not k.endswith("num_batches_tracked"): v.data.copy_(value(k, tuple(v.shape)))
    return model.eval()

def image(*shape):
    return torch.from_numpy(u("input", int(np.prod(shape))).astype(np.float32)).reshape(shape)

def f(x): return [float("%.9g" % v) for v in x.flatten().tolist()]

out = {"torch": torch.__version__}
torch.manual_seed(0)
CIFAR, IMAGENET, COCO = "Exp_on_CIFAR-SVHN-STL", "Exp_on_ImageNet", "Exp_on_COCO"
with torch.no_grad():
    for name, module in ("cifar_dgl", "resnetDGL_MANPP"), ("cifar_infopro", "resnetInfoPro_MANPP"):
        net = filled(name, part(CIFAR, module).resnet32(local_module_num=16, batch_size=1, aux_net_config="2c2f", local_loss_mode="cross_entropy"))
        out[name] = {"logits": f(net(image(2, 3, 32, 32), torch.zeros(2, dtype=torch.long))[0])}
    net = filled("imagenet", part(IMAGENET, "resnetInfoPro_MANPP_ddp").resnet101(local_module_num=4))
    out["imagenet"] = {"logits": f(net(image(1, 3, 64, 64)))}
    net = filled("vit", part(IMAGENET, "vit_manpp").manpp_vit_tiny_patch16_224())
    out["vit"] = {"logits": f(net(image(1, 3, 224, 224), torch.zeros(1, dtype=torch.long)))}
    coco = part(COCO, "resnet_manpp")
    net = filled("coco", part(COCO, "retinanet").RetinaNet(coco.resnet50_manpp(), 80))
    y = net(image(1, 3, 128, 160))
    out["coco"] = {"anchors": y["anchors"].shape[0]}
    # Some of every level: their first anchors are 0, 2880, 3600, 3780 and 3834.
    at = [0, 7, 1500, 2879, 2880, 3333, 3600, 3700, 3780, 3800, 3834, y["anchors"].shape[0] - 1]
    out["coco"].update({"at": at, "logits": f(y["cls_preds"][0, at, :5]), "deltas": f(y["reg_preds"][0, at])})
with open(os.path.join(HERE, "release.json"), "w") as file:
    json.dump(out, file, separators=(",", ":")); file.write("\n")
