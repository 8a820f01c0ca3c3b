#!/usr/bin/env python3
"""Verifies a Daybook export, written from docs/export-format.md alone and sharing no code with Daybook.

    verify_export.py FILE [--manifest M] [--signature S] [--key PEM] [--ledger LEDGER.db] [--blake3]

One JSON line: what the file is, the faults by their names, and what was not checked. Exit 0 nothing failed, 1 something
did, 2 it cannot be read.

Needs Python 3.8 or newer and its standard library; `openssl` for the signature, `pyarrow` for the rows of Parquet.
BLAKE3 in plain Python is slow: beyond 1 MB it is left out and said to be, unless --blake3 is given or the module
`blake3` is installed. SHA-256 is always checked. With --ledger the entries are looked up in the file, not verified:
verify_ledger.py does that.
"""

import argparse
import base64
import csv
import hashlib
import json
import pathlib
import sqlite3
import subprocess
import sys

import verify_ledger

FORMAT = "daybook export manifest 1"
CHUNK = 1 << 20
SLOW_BYTES = 1 << 20

csv.field_size_limit(1 << 30)


class Findings:
    def __init__(self):
        self.faults, self.not_checked = [], []

    def fault(self, kind, detail):
        self.faults.append({"kind": kind, "detail": detail})

    def left_out(self, what):
        self.not_checked.append(what)


def canonical(value):
    """The one form of a manifest's bytes: sorted keys, no white space, UTF-8 as it is, a line feed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def no_duplicates(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a name stands twice")
    return dict(pairs)


def read_manifest(data, findings):
    try:
        manifest = json.loads(data.decode(), object_pairs_hook=no_duplicates)
        if manifest["format"] != FORMAT:
            raise ValueError("it calls itself " + repr(manifest["format"]))
        for part in ("approval", "columns", "export_id", "file", "ledger", "query", "request", "times"):
            manifest[part]
    except (ValueError, KeyError, TypeError) as error:
        findings.fault("manifest_changed", "the manifest cannot be read: %s" % error)
        return None
    if canonical(manifest) != data:
        findings.fault("manifest_changed", "the manifest is not in the form that is signed")
    return manifest


def blake3_of(path, length, forced, findings):
    try:
        import blake3
    except ImportError:
        if length > SLOW_BYTES and not forced:
            findings.left_out("BLAKE3 of the file: it takes the module blake3, or --blake3 and patience")
            return None
        return verify_ledger.blake3_plain(path.read_bytes()).hex()
    hasher = blake3.blake3()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            hasher.update(chunk)
    return hasher.hexdigest()


def sha256_of(path):
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            hasher.update(chunk)
    return hasher.hexdigest()


def rows_of(path, form, names, findings):
    """Rows of the file, read as what it is; its columns must be those of the manifest. None where nobody can say."""
    try:
        if form == "csv":
            with path.open(encoding="utf-8", newline="") as file:
                reader = csv.reader(file, strict=True)
                if next(reader, None) != names:
                    findings.fault("file_changed", "the first line does not hold the names of the columns")
                rows = 0
                for row in reader:
                    rows += 1
                    if len(row) != len(names):
                        raise ValueError("row %d has %d values" % (rows, len(row)))
                return rows
        if form in ("ndjson", "json"):
            rows = 0
            with path.open(encoding="utf-8", newline="\n") as file:
                for number, line in enumerate(file):
                    if form == "json":
                        if line in ("[\n", "]\n", "[]\n"):
                            continue
                        line = line.rstrip("\n").rstrip(",")
                    rows += 1
                    if list(json.loads(line)) != names:
                        raise ValueError("line %d has other columns" % (number + 1))
            return rows
        if form == "parquet":
            try:
                import pyarrow.parquet
            except ImportError:
                findings.left_out("rows of the Parquet file: it takes pyarrow")
                return None
            table = pyarrow.parquet.ParquetFile(str(path))
            if table.schema_arrow.names != names:
                findings.fault("file_changed", "the file has other columns than the manifest")
            return sum(table.metadata.row_group(index).num_rows for index in range(table.metadata.num_row_groups))
        findings.left_out("rows: the format %r is not known here" % form)
    except (ValueError, csv.Error, OSError) as error:
        findings.fault("file_changed", "the file cannot be read as %s: %s" % (form, error))
    return None


def check_file(path, manifest, forced, findings):
    said, length = manifest["file"], path.stat().st_size
    sha256, blake3 = sha256_of(path), blake3_of(path, length, forced, findings)
    same = length == said["bytes"] and sha256 == said["sha256"] and blake3 in (None, said["blake3"])
    # What is read of a file that is not the right one says nothing but how many rows it has.
    reading = findings if same else Findings()
    rows = rows_of(path, said["format"], [column["name"] for column in manifest["columns"]], reading)
    if rows is not None and rows != said["rows"]:
        kind = "row_removed" if rows < said["rows"] else "row_added"
        findings.fault(kind, "%d rows instead of %d" % (rows, said["rows"]))
    elif not same:
        findings.fault("file_changed", "the file is not the one that the manifest describes")
    return {"bytes": length, "sha256": sha256, "blake3": blake3, "rows": rows}


def check_signature(key, manifest_path, signature_path, manifest, findings):
    if not signature_path.exists():
        return findings.left_out("the signature: there is no file %s" % signature_path.name)
    if key is None:
        return findings.left_out("the signature: no --key was given")
    der = subprocess.run(["openssl", "pkey", "-pubin", "-in", str(key), "-outform", "DER"], capture_output=True)
    if der.returncode != 0:
        raise OSError("openssl cannot read the key")
    key_id = hashlib.sha256(der.stdout).hexdigest()[:8]
    named = ((manifest or {}).get("signing_key") or {}).get("key_id", key_id)
    verify = ["openssl", "dgst", "-sha256", "-verify", str(key), "-signature", str(signature_path), str(manifest_path)]
    verified = subprocess.run(verify, capture_output=True).returncode == 0
    if named != key_id:
        findings.fault("wrong_key", "the manifest names the key %s, and %s was given" % (named, key_id))
    elif not verified:
        findings.fault("manifest_changed", "the manifest is not what the key %s signed" % key_id)


def check_ledger(ledger, data, file, manifest, findings):
    connection = sqlite3.connect("%s?mode=ro" % ledger.resolve().as_uri(), uri=True)
    where = manifest["ledger"]
    sql = (
        "select position, cast(payload as text) from ledger_entries where ledger_id = ? and stream_type = 'export' "
        "and stream_id = ? and event_type = 'export.generated' order by position desc limit 1"
    )
    row = connection.execute(sql, (where["ledger_id"], manifest["export_id"])).fetchone()
    if row is None:
        return findings.fault("not_in_ledger", "the ledger records no such export")
    generated = json.loads(row[1])
    if generated["manifest"]["sha256"] != hashlib.sha256(data).hexdigest():
        findings.fault("manifest_changed", "the manifest is not the one that was recorded")
    if (generated["sha256"], generated["bytes"]) != (file["sha256"], file["bytes"]):
        findings.fault("file_changed", "the file is not the one that was recorded")
    stated = where["range"]
    for end in ("first", "last"):
        sql = "select hash from ledger_entries where ledger_id = ? and position = ?"
        found = connection.execute(sql, (where["ledger_id"], stated[end])).fetchone()
        if found is None or bytes(found[0]).hex() != stated[end + "_hash"]:
            findings.fault("other_position", "entry %d has another hash, or there is none" % stated[end])
    if generated["range"] != stated or row[0] <= stated["last"]:
        findings.fault("other_position", "the manifest states other entries than were recorded")
    if where.get("checkpoint"):
        said = where["checkpoint"]
        wanted = [where["origin"], str(said["size"]), base64.b64encode(bytes.fromhex(said["root"])).decode()]
        if said["note"].split("\n")[:3] != wanted or said["size"] <= stated["last"]:
            findings.fault("checkpoint_mismatch", "the manifest says something else than its checkpoint")
    sql = (
        "select cast(payload as text) from ledger_entries where ledger_id = ? and stream_type = 'approval' "
        "and stream_id = ? and event_type = 'approval.consumed' and position < ?"
    )
    uses = connection.execute(sql, (where["ledger_id"], manifest["approval"]["approval_id"], row[0])).fetchall()
    uses = [json.loads(use[0]) for use in uses]
    wanted = (manifest["export_id"], manifest["approval"]["digest"])
    if [(use["execution_id"], use["digest"]) for use in uses] != [wanted]:
        findings.fault("not_approved", "the approval was not used for this export, once")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path)
    for name in ("manifest", "signature", "key", "ledger"):
        parser.add_argument("--" + name, type=pathlib.Path)
    parser.add_argument("--blake3", action="store_true")
    arguments = parser.parse_args()
    beside = lambda ending: arguments.file.with_name(arguments.file.name + ending)
    manifest_path = arguments.manifest or beside(".manifest.json")
    signature_path = arguments.signature or beside(".sig")
    findings, file = Findings(), {}
    try:
        data = manifest_path.read_bytes()
        manifest = read_manifest(data, findings)
        check_signature(arguments.key, manifest_path, signature_path, manifest, findings)
        if manifest is not None:
            file = check_file(arguments.file, manifest, arguments.blake3, findings)
            if arguments.ledger is None:
                findings.left_out("the ledger: no --ledger was given")
            else:
                check_ledger(arguments.ledger, data, file, manifest, findings)
    except (OSError, sqlite3.Error) as error:
        print("cannot read: %s" % error, file=sys.stderr)
        return 2
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        findings.fault("manifest_changed", "the manifest does not say what manifests say: %r" % error)
    outcome = {"ok": not findings.faults, "file": file, "faults": findings.faults, "not_checked": findings.not_checked}
    print(json.dumps(outcome))
    return 1 if findings.faults else 0


if __name__ == "__main__":
    sys.exit(main())
