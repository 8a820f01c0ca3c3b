//! What a bundle says of itself to whoever opens it first.

/// `README.txt`.
pub(crate) const README: &str = r#"This is a part of a Daybook ledger with what is needed to verify it without the server it came from.

  manifest.json     what is in here, with the size and the digests of every file
  entries.ndjson    the entries, one JSON object a line; payload and metadata are the stored bytes
  checkpoint        a signed note: how many entries the ledger had, and the root of the tree over them
  keys.txt          the public keys, as the ledger announced them (compare them with what you were given elsewhere)
  tile/             hashes of the tree: those on the paths of the entries, and those that give the root
  proofs/           proofs of single entries that need no other file but the key

Verify all of it:

  daybook-auditor verify THIS.zip --keys keys-you-trust.txt
  daybook-auditor check proofs/0.tlog-proof --keys keys-you-trust.txt

With nothing but common tools, in the folder it was unpacked to:

  jq -r '.files[] | "\(.sha256)  \(.path)"' manifest.json | sha256sum -c     every file is as it was written
  jq -r '.files[] | "\(.blake3)  \(.path)"' manifest.json | b3sum -c         the same with BLAKE3
  jq -r .payload_digest entries.ndjson                                       what each payload must hash to (BLAKE3)

The manifest proves nothing by itself: whoever wrote the files wrote it, too. What proves is the signature on the
checkpoint. The format and each step of the verification, also with openssl alone, are described in
docs/bundle-format.md of Daybook.
"#;
