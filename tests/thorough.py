"""How much is tried of what takes long: CROSSDOCK_THOROUGH=20 tries twenty times as much, and, as from 2 on, what is left out otherwise."""

import os

THOROUGH = int(os.environ.get("CROSSDOCK_THOROUGH", "1"))
