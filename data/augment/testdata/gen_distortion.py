#!/usr/bin/env python3
"""Writes distortion.json: jitter.png through mmsegmentation's photometric
distortion with fixed parameters, the steps written out anew from its
description (brightness, contrast before or after, saturation, hue; each step cut
off to uint8, saturation and hue each to HSV and back), with OpenCV 4.6.0 and
numpy 1.26.

    python3 gen_distortion.py
"""
import json
import os

import cv2
import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
img = cv2.imread(os.path.join(here, "jitter.png"))


def levels(a, factor=1.0, add=0.0):
    return np.clip(a.astype(np.float32) * factor + add, 0, 255).astype(np.uint8)


def saturate(a, factor):
    hsv = cv2.cvtColor(a, cv2.COLOR_BGR2HSV)
    hsv[:, :, 1] = levels(hsv[:, :, 1], factor)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def turn(a, steps):
    hsv = cv2.cvtColor(a, cv2.COLOR_BGR2HSV)
    hsv[:, :, 0] = (hsv[:, :, 0].astype(int) + steps) % 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


cases = []
for brightness, contrast, last, saturation, hue in [
    (20.25, 1, False, 1, 0), (-31.5, 1, False, 1, 0), (0, 1.45, False, 1, 0), (0, 0.55, True, 1, 0),
    (0, 1, False, 1.4, 0), (0, 1, False, 0.6, 0), (0, 1, False, 1, 17), (0, 1, False, 1, -18),
    (-12.5, 1.3, True, 0.7, 0), (-12.5, 1.3, False, 0.7, 0), (25, 0.8, True, 1.3, -9), (10, 1.2, False, 0.5, 11),
]:
    a = img
    if brightness:
        a = levels(a, add=brightness)
    if contrast != 1 and not last:
        a = levels(a, contrast)
    if saturation != 1:
        a = saturate(a, saturation)
    if hue:
        a = turn(a, hue)
    if contrast != 1 and last:
        a = levels(a, contrast)
    cases.append({"brightness": brightness, "contrast": contrast, "contrastlast": last, "saturation": saturation, "hue": hue,
                  "rgb": a[:, :, ::-1].reshape(-1).tolist()})
with open(os.path.join(here, "distortion.json"), "w") as f:
    json.dump(cases, f)
