"""Writes retinanet_resnet{18,50}.txt: name and shape of every tensor in the
state_dict of torchvision's RetinaNet (0.14) with 80 classes, FrozenBatchNorm and
P6 computed from C5. The names are those of torchvision's
retinanet_resnet50_fpn, which the script checks; that model differs in the input
channels of P6 (256, from P5) and in its 91 classes.

    python3 gen_retinanet_names.py
"""
import os
from torchvision.models import resnet18, resnet50
from torchvision.models.detection import RetinaNet, retinanet_resnet50_fpn
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from torchvision.ops.misc import FrozenBatchNorm2d

here = os.path.dirname(os.path.abspath(__file__))
stock = retinanet_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
for depth, make, c5 in ((18, resnet18, 512), (50, resnet50, 2048)):
    body = make(norm_layer=FrozenBatchNorm2d)
    extractor = _resnet_fpn_extractor(body, 5, returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(c5, 256))
    state = RetinaNet(extractor, 80).state_dict()
    if depth == 50:
        # The stock model has BatchNorm2d when built without weights.
        assert set(state) == {n for n in stock if not n.endswith("num_batches_tracked")}
    with open(os.path.join(here, f"retinanet_resnet{depth}.txt"), "w") as f:
        for name, t in state.items():
            f.write(f"{name} {' '.join(map(str, t.shape))}\n")
