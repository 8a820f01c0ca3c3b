#!/usr/bin/env python3
"""Verifies a Daybook ledger file, written from docs/ledger-format.md alone and sharing no code with Daybook.

    verify_ledger.py LEDGER.db             one JSON line a ledger; exit 0 verified, 1 failed, 2 cannot be read
    verify_ledger.py --vectors FILE.json   the published test vectors instead of a ledger file
    --fast                                 BLAKE3 from the module `blake3`, where that is installed

Needs Python 3.8 or newer and nothing beside its standard library. BLAKE3 below is plain Python: slow, some hundred
entries a second.
"""

import hashlib
import json
import pathlib
import re
import sqlite3
import struct
import sys

# --- BLAKE3, from its specification: https://github.com/BLAKE3-team/BLAKE3-specs --------------------------------------

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
CHUNK_BYTES, BLOCK_BYTES = 1024, 64
MASK = 0xFFFFFFFF

# Columns, then diagonals, of the 4 x 4 state.
MIXES = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)


def message_schedule():
    """Indexes of the message words for each of the seven rounds."""
    order, rounds = tuple(range(16)), []
    for _ in range(7):
        rounds.append(order)
        order = tuple(order[index] for index in PERMUTATION)
    return tuple(rounds)


SCHEDULE = message_schedule()


def compress(chaining_value, words, counter, length, flags):
    """The compression function; returns the first eight output words."""
    state = list(chaining_value) + list(IV[:4]) + [counter & MASK, counter >> 32 & MASK, length, flags]
    for order in SCHEDULE:
        for mix, (a, b, c, d) in enumerate(MIXES):
            va, vb, vc, vd = state[a], state[b], state[c], state[d]
            va = (va + vb + words[order[2 * mix]]) & MASK
            vd ^= va
            vd = (vd >> 16 | vd << 16) & MASK
            vc = (vc + vd) & MASK
            vb ^= vc
            vb = (vb >> 12 | vb << 20) & MASK
            va = (va + vb + words[order[2 * mix + 1]]) & MASK
            vd ^= va
            vd = (vd >> 8 | vd << 24) & MASK
            vc = (vc + vd) & MASK
            vb ^= vc
            vb = (vb >> 7 | vb << 25) & MASK
            state[a], state[b], state[c], state[d] = va, vb, vc, vd
    return [state[index] ^ state[index + 8] for index in range(8)]


def chunk_value(chunk, counter, last_flags):
    """Chaining value of one chunk of at most 1024 bytes. `last_flags` is ROOT where the chunk is all of the input."""
    value = IV
    blocks = [chunk[start:start + BLOCK_BYTES] for start in range(0, len(chunk), BLOCK_BYTES)] or [b""]
    for index, block in enumerate(blocks):
        flags = CHUNK_START if index == 0 else 0
        if index == len(blocks) - 1:
            flags |= CHUNK_END | last_flags
        words = struct.unpack("<16I", block.ljust(BLOCK_BYTES, b"\0"))
        value = compress(value, words, counter, len(block), flags)
    return value


def tree_value(data, first_chunk, last_flags):
    """Chaining value of a subtree. Left is the largest power of two of chunks that leaves something for the right."""
    if len(data) <= CHUNK_BYTES:
        return chunk_value(data, first_chunk, last_flags)
    chunks = (len(data) + CHUNK_BYTES - 1) // CHUNK_BYTES
    left_chunks = 1 << (chunks - 1).bit_length() - 1
    middle = left_chunks * CHUNK_BYTES
    left = tree_value(data[:middle], first_chunk, 0)
    right = tree_value(data[middle:], first_chunk + left_chunks, 0)
    return compress(IV, left + right, 0, BLOCK_BYTES, PARENT | last_flags)


def blake3_plain(data):
    return struct.pack("<8I", *tree_value(data, 0, ROOT))


blake3 = blake3_plain

# --- The ledger -------------------------------------------------------------------------------------------------------


class Failed(Exception):
    """The ledger is not what it should be. The message says where and how."""


def field(text):
    data = text.encode("utf-8")
    return struct.pack("<I", len(data)) + data


def u64(number):
    return struct.pack("<Q", number)


def canonical_bytes(entry):
    return b"".join((
        b"daybook-entry-v1\n",
        field(entry["ledger_id"]), u64(entry["position"]), entry["event_id"],
        field(entry["stream_type"]), field(entry["stream_id"]), u64(entry["version"]),
        field(entry["event_type"]), u64(entry["schema_version"]), u64(entry["recorded_at"]),
        field(entry["actor_kind"]), field(entry["actor_id"]),
        blake3(entry["metadata"]), entry["payload_digest"], entry["previous_hash"],
    ))


def genesis(ledger_id):
    return blake3(b"daybook-genesis-v1\n" + ledger_id.encode("utf-8"))


def leaf_hash(canonical):
    return hashlib.sha256(b"\x00" + canonical).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """RFC 6962 tree: the roots of its complete subtrees with their sizes, largest first."""

    def __init__(self):
        self.subtrees = []

    def push(self, leaf):
        size = 1
        while self.subtrees and self.subtrees[-1][0] == size:
            _, left = self.subtrees.pop()
            size, leaf = size * 2, node_hash(left, leaf)
        self.subtrees.append((size, leaf))

    def root(self):
        if not self.subtrees:
            return hashlib.sha256(b"").digest()
        root = self.subtrees[-1][1]
        for _, left in reversed(self.subtrees[:-1]):
            root = node_hash(left, root)
        return root

    def frontier(self):
        return b"".join(root for _, root in self.subtrees)


TEXTS = ("ledger_id", "stream_type", "stream_id", "event_type", "actor_kind", "actor_id")
NUMBERS = ("position", "version", "schema_version", "recorded_at")
BYTES = {"event_id": 16, "metadata": None, "payload": None, "payload_digest": 32, "previous_hash": 32, "hash": 32}
ENTRY_COLUMNS = TEXTS + NUMBERS + tuple(BYTES)


def check_types(entry):
    """Every column holds the type, and the length, that the format gives it."""
    where = f"position {entry['position']!r}"
    for name in TEXTS:
        if not isinstance(entry[name], str):
            raise Failed(f"{where}: {name} is not text")
        try:
            entry[name].encode("utf-8")
        except UnicodeEncodeError:
            raise Failed(f"{where}: {name} is not UTF-8") from None
    for name in NUMBERS:
        if not isinstance(entry[name], int) or entry[name] < 0:
            raise Failed(f"{where}: {name} is not a number of zero or more")
    for name, length in BYTES.items():
        if name == "payload" and entry[name] is None:
            raise Failed(f"{where}: the payload is missing")
        if not isinstance(entry[name], bytes) or length not in (None, len(entry[name])):
            raise Failed(f"{where}: {name} is not {length or 'some'} bytes")
    if entry["actor_kind"] not in ("human", "agent", "system"):
        raise Failed(f"{where}: actor_kind is {entry['actor_kind']!r}")
    if len(entry["stream_id"].encode("utf-8")) > 200:
        raise Failed(f"{where}: stream_id has more than 200 bytes")
    for name in ("metadata", "payload"):
        try:
            entry[name].decode("utf-8")
        except UnicodeDecodeError:
            raise Failed(f"{where}: {name} is not UTF-8") from None


class Chain:
    """Recomputes one ledger, entry by entry."""

    def __init__(self, ledger_id):
        self.size, self.hash, self.recorded_at = 0, genesis(ledger_id), 0
        self.tree, self.versions = Tree(), {}

    def push(self, entry):
        """Checks the next entry; returns its canonical bytes."""
        if entry["position"] != self.size:
            raise Failed(f"position {self.size}: the next entry has position {entry['position']!r}")
        where = f"position {self.size}"
        if blake3(entry["payload"]) != entry["payload_digest"]:
            raise Failed(f"{where}: payload_digest is not the digest of the payload")
        if entry["previous_hash"] != self.hash:
            raise Failed(f"{where}: previous_hash is not the hash of the entry before")
        canonical = canonical_bytes(entry)
        if blake3(canonical) != entry["hash"]:
            raise Failed(f"{where}: hash is not the hash of the fields")
        if entry["recorded_at"] < self.recorded_at:
            raise Failed(f"{where}: recorded_at is smaller than in the entry before")
        stream = (entry["stream_type"], entry["stream_id"])
        if entry["version"] != self.versions.get(stream, 0) + 1:
            raise Failed(f"{where}: version {entry['version']} does not follow {self.versions.get(stream, 0)}")
        self.versions[stream] = entry["version"]
        self.tree.push(leaf_hash(canonical))
        self.size, self.hash, self.recorded_at = self.size + 1, entry["hash"], entry["recorded_at"]
        return canonical


def verify_ledger(connection, ledger_id):
    if not isinstance(ledger_id, str) or not re.fullmatch("[a-z0-9-]{1,63}", ledger_id):
        raise Failed(f"ledger_id {ledger_id!r} is not allowed")
    chain = Chain(ledger_id)
    sql = f"select {', '.join(ENTRY_COLUMNS)} from ledger_entries where ledger_id = ? order by position"
    for row in connection.execute(sql, (ledger_id,)):
        entry = dict(zip(ENTRY_COLUMNS, row))
        check_types(entry)
        chain.push(entry)
    sql = "select size, hash, root, frontier, recorded_at from ledger_heads where ledger_id = ?"
    heads = connection.execute(sql, (ledger_id,)).fetchall()
    if len(heads) != 1 or chain.size == 0:
        raise Failed(f"there are {chain.size} entries and {len(heads)} heads")
    head = (chain.size, chain.hash, chain.tree.root(), chain.tree.frontier(), chain.recorded_at)
    for name, stored, computed in zip(("size", "hash", "root", "frontier", "recorded_at"), heads[0], head):
        if type(stored) is not type(computed) or stored != computed:
            raise Failed(f"head: {name} is not what the entries come to")
    return chain


def verify_file(path):
    """Prints a line a ledger; returns whether all are right."""
    if not pathlib.Path(path).is_file():
        raise OSError(f"there is no file {path}")
    connection = sqlite3.connect(pathlib.Path(path).resolve().as_uri() + "?mode=ro", uri=True)
    # Text that is not UTF-8 is a finding, not an error: the bytes that do not fit are kept apart for the check.
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    connection.execute("begin")
    sql = "select ledger_id from ledger_entries union select ledger_id from ledger_heads order by ledger_id"
    all_right = True
    for (ledger_id,) in connection.execute(sql).fetchall():
        try:
            chain = verify_ledger(connection, ledger_id)
            line = {"ledger_id": ledger_id, "size": chain.size, "hash": chain.hash.hex(),
                    "root": chain.tree.root().hex(), "ok": True}
        except Failed as failure:
            line = {"ledger_id": str(ledger_id), "ok": False, "why": str(failure)}
        all_right = all_right and line["ok"]
        print(json.dumps(line))
    return all_right


def verify_vectors(path):
    """Prints a line a ledger of the vectors; returns whether all come out as published."""
    all_right = True
    for vectors in json.loads(pathlib.Path(path).read_text(encoding="utf-8"))["ledgers"]:
        ledger_id = vectors["ledger_id"]
        chain = Chain(ledger_id)
        wrong = []

        def compare(name, computed, published, wrong=wrong):
            if computed.hex() != published:
                wrong.append(name)

        compare("genesis", genesis(ledger_id), vectors["genesis"])
        compare("empty_root", chain.tree.root(), vectors["empty_root"])
        for vector in vectors["entries"]:
            entry = dict(vector)
            for name in ("event_id", "payload_digest", "previous_hash", "hash"):
                entry[name] = bytes.fromhex(vector[name])
            for name in ("metadata", "payload"):
                entry[name] = vector[name].encode("utf-8")
            check_types(entry)
            try:
                canonical = chain.push(entry)
            except Failed as failure:
                wrong.append(str(failure))
                break
            compare("canonical", canonical, vector["canonical_hex"])
            compare("leaf", leaf_hash(canonical), vector["merkle_leaf"])
            compare("root", chain.tree.root(), vector["merkle_root_after"])
        line = {"ledger_id": ledger_id, "size": chain.size, "hash": chain.hash.hex(),
                "root": chain.tree.root().hex(), "ok": not wrong}
        if wrong:
            line["why"] = "; ".join(wrong)
        all_right = all_right and not wrong
        print(json.dumps(line))
    return all_right


def main(arguments):
    global blake3
    if "--fast" in arguments:
        arguments = [argument for argument in arguments if argument != "--fast"]
        try:
            import blake3 as module
            blake3 = lambda data: module.blake3(data).digest()  # noqa: E731
        except ImportError:
            print("the module blake3 is not installed: going on without", file=sys.stderr)
    try:
        if len(arguments) == 2 and arguments[0] == "--vectors":
            return 0 if verify_vectors(arguments[1]) else 1
        if len(arguments) == 1 and not arguments[0].startswith("-"):
            return 0 if verify_file(arguments[0]) else 1
    except (OSError, ValueError, KeyError, sqlite3.Error) as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 2
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
