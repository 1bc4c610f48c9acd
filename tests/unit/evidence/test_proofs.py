"""A Merkle proof is of one event in one tree: whatever bit, step, index or size is another, it is not believed."""

import pytest

from ops.evidence import verify
from tests.rfc6962 import path, proof, root_of
from tests.unit.evidence.truth import LEAVES, SIZE, believed, flipped


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_every_bit_of_an_inclusion_proof_counts(size: int) -> None:
    root = root_of(LEAVES[:size])
    for index in range(size):
        leaf, true = LEAVES[index], path(index, LEAVES[:size])
        assert believed(verify.prove_inclusion, leaf, index, size, true, root)
        for step, sibling in enumerate(true):
            for other in flipped(sibling):
                assert not believed(verify.prove_inclusion, leaf, index, size, [*true[:step], other, *true[step + 1 :]], root)
        for other in flipped(leaf):
            assert not believed(verify.prove_inclusion, other, index, size, true, root)
        for other in flipped(root):
            assert not believed(verify.prove_inclusion, leaf, index, size, true, other)


@pytest.mark.parametrize("sizes", [(1, 2), (2, 3), (3, 7), (4, 8), (6, 13), (8, 13)])
def test_every_bit_of_a_consistency_proof_counts(sizes: tuple[int, int]) -> None:
    old, new = sizes
    was, now, true = root_of(LEAVES[:old]), root_of(LEAVES[:new]), proof(old, LEAVES[:new])
    assert believed(verify.prove_consistency, old, was, new, now, true)
    for step, node_ in enumerate(true):
        for other in flipped(node_):
            assert not believed(verify.prove_consistency, old, was, new, now, [*true[:step], other, *true[step + 1 :]])
    assert not any(believed(verify.prove_consistency, old, other, new, now, true) for other in flipped(was))
    assert not any(believed(verify.prove_consistency, old, was, new, other, true) for other in flipped(now))


def test_a_proof_is_of_one_event_in_one_place() -> None:
    """For every tree of up to 21 leaves: no other index, no step more or less, no other order of them; and none of an empty tree."""
    for size in range(1, SIZE + 1):
        root = root_of(LEAVES[:size])
        for index in range(size):
            leaf, true = LEAVES[index], path(index, LEAVES[:size])
            others = [other for other in range(-1, size + 2) if other != index]
            assert not any(believed(verify.prove_inclusion, leaf, other, size, true, root) for other in others)
            assert not believed(verify.prove_inclusion, leaf, index, size, [*true, leaf], root)
            assert not believed(verify.prove_inclusion, leaf, index, size, [leaf, *true], root)
            assert not true or not believed(verify.prove_inclusion, leaf, index, size, true[:-1], root)
            assert len(true) < 2 or not believed(verify.prove_inclusion, leaf, index, size, true[::-1], root)
            assert not any(believed(verify.prove_inclusion, leaf, 0, nothing, [], verify.EMPTY) for nothing in (0, -1))
            assert size == 1 or not believed(verify.prove_inclusion, root, 0, size, [], root), "an inner node is no leaf"


def test_a_root_of_a_smaller_log_is_not_that_of_a_larger_one() -> None:
    """A size that is not the root's is caught by the signature, for checkpoints say both; here too, where the path has another length."""
    for size in range(1, SIZE + 1):
        for other in range(SIZE + 1):
            for index in range(size):
                true = path(index, LEAVES[:size])
                if len(path(min(index, max(0, other - 1)), LEAVES[:other])) != len(true):
                    assert not believed(verify.prove_inclusion, LEAVES[index], index, other, true, root_of(LEAVES[:size]))
