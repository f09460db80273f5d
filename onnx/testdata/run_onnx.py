"""Runs ONNX files with onnxruntime and compares their outputs with expected ones.

Usage: run_onnx.py CASES.json

CASES is a list of {"name", "model", "input", "shape", "want": {output: {"file", "shape", "type"}}};
the files hold raw little-endian numbers. Where package onnx is there its checker looks at
every file first. Prints {"runtime", "checker", "cases": {name: {output: difference}}}: the
largest absolute difference over the largest absolute expected value (the difference of
integers is 0 or 1: equal or not). A shape that differs is a string.
"""
import json
import sys

import numpy as np
import onnxruntime

try:
    import onnx
except ImportError:
    onnx = None


def difference(got, want):
    if list(got.shape) != list(want.shape):
        return f"shape {list(got.shape)}, want {list(want.shape)}"
    if got.dtype != want.dtype:
        return f"type {got.dtype}, want {want.dtype}"
    if want.size == 0:
        return 0.0
    if want.dtype.kind in "iu":
        return float((got != want).mean())
    scale = max(float(np.abs(want).max()), 1e-30)
    d = float(np.abs(got.astype(np.float64) - want.astype(np.float64)).max()) / scale
    return d if d == d else "not a number"


def main():
    out = {}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    for case in json.load(open(sys.argv[1])):
        if onnx is not None:
            onnx.checker.check_model(case["model"], full_check=True)
        session = onnxruntime.InferenceSession(case["model"], options, providers=["CPUExecutionProvider"])
        x = np.fromfile(case["input"], "<f4").reshape(case["shape"])
        names = [o.name for o in session.get_outputs()]
        got = dict(zip(names, session.run(names, {session.get_inputs()[0].name: x})))
        result = {}
        for name, w in case["want"].items():
            want = np.fromfile(w["file"], w["type"]).reshape(w["shape"])
            result[name] = difference(got[name], want) if name in got else "missing"
        for name in names:
            if name not in case["want"]:
                result[name] = "not expected"
        out[case["name"]] = result
    print(json.dumps({"runtime": onnxruntime.__version__, "checker": onnx.__version__ if onnx else "", "cases": out}))


main()
