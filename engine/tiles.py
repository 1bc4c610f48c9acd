"""The Merkle tree of one tenant's log, kept beside it in tiles of 256 hashes, so that a root or a proof takes a few rows of any log.

A leaf is the hash of what the chain adds for that event, `position || version || sha256(content)`: both prove the same bytes.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from engine import merkle
from engine.merkle import Node, Run
from schemas.values import TenantId

WIDTH = 256  # hashes of a tile
LEVELS = 8  # of the tree, that a tile covers
HASH = 32  # bytes

EDGE = """
SELECT DISTINCT ON (level) level, nth, hashes FROM crossdock.tiles WHERE tenant = $1 ORDER BY level, nth DESC
"""
FIND = """
SELECT t.level, t.nth, t.hashes
FROM unnest($2::smallint[], $3::bigint[]) AS sought (level, nth)
JOIN crossdock.tiles AS t ON t.tenant = $1 AND t.level = sought.level AND t.nth = sought.nth
ORDER BY t.level, t.nth
"""
# Another process may have come further: what it has written stays.
PUT = """
INSERT INTO crossdock.tiles AS kept (tenant, level, nth, hashes)
SELECT $1, level, nth, hashes FROM unnest($2::smallint[], $3::bigint[], $4::bytea[]) AS new (level, nth, hashes)
ON CONFLICT (tenant, level, nth) DO UPDATE SET hashes = excluded.hashes WHERE length(kept.hashes) < length(excluded.hashes)
"""
FORGET = "DELETE FROM crossdock.tiles WHERE tenant = $1"


class Tree:
    """The right edge of the tree in memory, all of it in the database."""

    def __init__(self, pool: Any, tenant: TenantId) -> None:
        self._pool, self._tenant = pool, tenant
        self._tiles: dict[Node, list[bytes]] = {}  # what is loaded or added
        self._counts: list[int] = []  # hashes of each level
        self._changed: dict[Node, None] = {}

    @property
    def size(self) -> int:
        """Leaves."""
        return self._counts[0] if self._counts else 0

    async def load(self) -> None:
        """As the database has it."""
        self._tiles, self._counts, self._changed = {}, [], {}
        for row in await self._pool.fetch(EDGE, self._tenant):
            hashes = _cut(row["hashes"])
            self._tiles[row["level"], row["nth"]] = hashes
            self._counts.append(row["nth"] * WIDTH + len(hashes))

    async def forget(self) -> None:
        """Begin again from no leaf: what is kept does not agree with the log."""
        await self._pool.execute(FORGET, self._tenant)
        await self.load()

    def add(self, entries: Iterable[bytes]) -> None:
        """What the chain has added for these events, in order."""
        for entry in entries:
            self._push(0, merkle.leaf_hash(entry))

    def _push(self, level: int, hash_: bytes) -> None:
        if level == len(self._counts):
            self._counts.append(0)
        place = level, self._counts[level] // WIDTH
        tile = self._tiles.setdefault(place, [])
        tile.append(hash_)
        self._counts[level] += 1
        self._changed[place] = None
        if len(tile) == WIDTH:
            self._push(level + 1, merkle.perfect(tile))

    async def store(self) -> None:
        """Commit what was added; only the edge stays in memory."""
        changed = list(self._changed)
        if changed:
            texts = [b"".join(self._tiles[place]) for place in changed]
            await self._pool.execute(PUT, self._tenant, [level for level, _ in changed], [nth for _, nth in changed], texts)
        self._changed = {}
        for level, nth in list(self._tiles):
            if nth < self._counts[level] // WIDTH:
                del self._tiles[level, nth]

    def root(self) -> bytes:
        """Of all leaves. Any other root or proof is made of stored tiles: `roots`."""
        if not self.size:
            return merkle.EMPTY
        return merkle.folded(_node(self._tiles, node) for node in merkle.nodes_of((0, self.size)))

    async def roots(self, runs: Sequence[Run]) -> list[bytes]:
        """The root of each run of leaves. Raises LookupError where a tile is missing."""
        nodes = [list(merkle.nodes_of(run)) for run in runs]
        places = sorted({_place(node) for each in nodes for node in each})
        rows = await self._pool.fetch(FIND, self._tenant, [level for level, _ in places], [nth for _, nth in places])
        tiles = {(row["level"], row["nth"]): _cut(row["hashes"]) for row in rows}
        return [merkle.folded(_node(tiles, node) for node in each) if each else merkle.EMPTY for each in nodes]


def _cut(hashes: bytes) -> list[bytes]:
    return [hashes[start : start + HASH] for start in range(0, len(hashes), HASH)]


def _place(node: Node) -> Node:
    """The tile that a node is made of."""
    level, nth = node
    return level // LEVELS, (nth << level % LEVELS) // WIDTH


def _node(tiles: dict[Node, list[bytes]], node: Node) -> bytes:
    level, nth = node
    width = 1 << level % LEVELS
    first = nth * width % WIDTH
    found = tiles[_place(node)][first : first + width]
    if len(found) < width:
        raise LookupError(f"the tree does not reach node {nth} of level {level}")
    return merkle.perfect(found)
