"""Values that JSON cannot say: {"float": "nan" | "inf" | "-inf"} and {"int": "..."}; infinite watermarks."""

from __future__ import annotations

import base64
import math
from typing import Any


def decode(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"float"}:
            return float(value["float"])
        if value.keys() == {"int"}:
            return int(value["int"])
        return {name: decode(one) for name, one in value.items()}
    return [decode(one) for one in value] if isinstance(value, list) else value


def encode(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return {"int": str(value)}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: encode(one) for name, one in value.items()}
    return [encode(one) for one in value] if isinstance(value, list) else value


def watermark(millis: float) -> int | str:
    """As cases write it."""
    if math.isinf(millis):
        return "+inf" if millis > 0 else "-inf"
    return int(millis)
