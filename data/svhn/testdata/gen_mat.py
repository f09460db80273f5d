#!/usr/bin/env python3
"""Writes small files in SVHN's layout with scipy 1.11.4 (savemat, format 5).

    pip install scipy==1.11.4 numpy==1.26.4
    python3 gen_mat.py

X at row, column, colour, image is 3*row + 5*column + 7*colour + 11*image, modulo
256; the labels are 10, 1, 9, 10, 5.
"""
import os

import numpy as np
from scipy.io import savemat

here = os.path.dirname(os.path.abspath(__file__))
row, col, colour, image = np.meshgrid(np.arange(32), np.arange(32), np.arange(3), np.arange(5), indexing="ij")
X = (3 * row + 5 * col + 7 * colour + 11 * image).astype(np.uint8)
y = np.array([10, 1, 9, 10, 5]).reshape(-1, 1)


def save(name, data, **kw):
    savemat(os.path.join(here, name), data, **kw)


save("compressed.mat", {"X": X, "y": y.astype(np.uint8)}, do_compression=True)
save("double.mat", {"note": "text first", "cells": np.array([1, "a"], dtype=object), "y": y.astype(np.float64), "X": X}, do_compression=True)
save("plain.mat", {"X": X[..., :2], "y": y[:2].astype(np.int16)}, do_compression=False)
save("one.mat", {"X": X[..., 0], "y": y[:1].astype(np.uint8)}, do_compression=True)
save("wrong_class.mat", {"X": X[..., :1].astype(np.float32), "y": y[:1]}, do_compression=True)
save("wrong_count.mat", {"X": X[..., :3], "y": y[:2]}, do_compression=True)
save("wrong_label.mat", {"X": X[..., :2], "y": np.array([[1], [11]])}, do_compression=True)
save("half_label.mat", {"X": X[..., :2], "y": np.array([[1], [2.5]])}, do_compression=True)
save("no_labels.mat", {"X": X[..., :2], "labels": y[:2]}, do_compression=True)
save("complex.mat", {"X": X[..., :1], "y": y[:1] * 1j}, do_compression=True)
