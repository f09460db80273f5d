"""Prints the scalars of a folder of event files as TensorBoard's EventAccumulator reads
them: {tag: [[step, value], ...]}."""
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

acc = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "tensors": 0})
acc.Reload()
tags = acc.Tags()
out = {t: [[e.step, e.value] for e in acc.Scalars(t)] for t in tags["scalars"]}
for t in tags["tensors"]:
    out[t] = [[e.step, float(tensor_util.make_ndarray(e.tensor_proto))] for e in acc.Tensors(t)]
json.dump(out, sys.stdout)
