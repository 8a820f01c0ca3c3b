"""Roots and proofs by pymerkle, for a test to compare with Daybook's.

Reads one JSON object from standard input: {"leaves": [hex, ...], "sizes": [n, ...], "inclusion": [[position, size], ...],
"consistency": [[old, old_root, size, root], ...]}. Writes {"roots": [...], "inclusion": [[...], ...], "consistent": n}: hashes
in hexadecimal, an audit path lowest first, and how many of the pairs of roots are those of a tree and its extension.
Exits with 3 where pymerkle is not installed.
"""

import json
import sys
import warnings

try:
    from pymerkle import InmemoryTree, verify_consistency
except ImportError:
    sys.exit(3)

warnings.simplefilter("ignore")
asked = json.load(sys.stdin)
tree = InmemoryTree(algorithm="sha256")
for leaf in asked["leaves"]:
    tree.append_entry(bytes.fromhex(leaf))


def inclusion(position, size):
    """pymerkle counts from one, and puts the leaf itself before its path."""
    return tree.prove_inclusion(position + 1, size).serialize()["path"][1:]


def consistent(old, old_root, size, root):
    proof = tree.prove_consistency(old, size)
    verify_consistency(bytes.fromhex(old_root), bytes.fromhex(root), proof)  # raises where it is not so
    return 1


json.dump(
    {
        "roots": [tree.get_state(size).hex() for size in asked["sizes"]],
        "inclusion": [inclusion(*pair) for pair in asked["inclusion"]],
        "consistent": sum(consistent(*pair) for pair in asked["consistency"]),
    },
    sys.stdout,
)
