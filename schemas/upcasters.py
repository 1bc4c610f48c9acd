"""Old stored data into today's shape, one step at a time: {(tag, from_version): dict -> dict}.

A step takes the stored JSON object of `from_version` and returns that of `from_version + 1`. None is needed yet.
"""

from collections.abc import Callable
from typing import Any

UPCASTERS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}
