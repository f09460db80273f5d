"""Writes types.safetensors with the reference library: one tensor of each type.

Run with: pip install safetensors numpy; python3 gen_types.py
"""
import os

import numpy as np
from safetensors.numpy import save_file

here = os.path.dirname(os.path.abspath(__file__))
bf16 = np.array([0x3F80, 0xC049, 0x7F80, 0x0001], dtype=np.uint16)  # 1, -3.140625, inf, smallest
save_file(
    {
        "f64": np.array([[1 / 3, -2.5], [1e300, 0.0]]),
        "f32": np.array([[[0.1, -7.0, 3e38]]], dtype=np.float32),
        "f16": np.array([1.0, -2.0, 65504.0, 2.0**-24, 2.0**-14, np.inf, 0.333251953125, 0.0], dtype=np.float16),
        "i64": np.array([-(2**63), 2**63 - 1]),
        "i32": np.array([-(2**31), 5], dtype=np.int32),
        "u8": np.array([0, 255, 7], dtype=np.uint8),
        "scalar": np.array(1.5, dtype=np.float32),
        "empty": np.zeros((0, 3), dtype=np.float32),
        "bits": bf16,
    },
    os.path.join(here, "types.safetensors"),
    metadata={"source": "safetensors for Python", "quote": 'a "b" é'},
)
