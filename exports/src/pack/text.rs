//! What a pack says of itself to whoever opens it first.

/// What `selection.kind` in the manifest says.
pub const FORMAT: &str = "evidence_pack";

/// `README.txt`.
pub const README: &str = r#"This is an evidence pack: all that a Daybook ledger has on a matter and a period, with what proves it.
It can be read and verified without Daybook, and without the server that it came from.

To read

  report.html       begin here: the matter, who asked and who agreed, what happened, how it is proved (any browser; prints)
  index.csv         every record: what it is, when it began and ended, under which holds it is, which file has it
  trail.csv         every entry, in words: when, who, what
  records/          every record as it stood at the end of the period, one JSON object a line
  approvals.json    every request for approval, with its votes
  holds.json        every legal hold that covers something in here
  people.csv        who the people are (only where this was asked for)

In the .csv files a value that begins with = + - @ a tab or a carriage return has ' before it, so that no spreadsheet takes it for a
formula. What is exact is in entries.ndjson and records/.

To verify

  entries.ndjson    the entries as they were recorded, one JSON object a line; all of the above is made from them
  checkpoint        a signed note: how many entries the ledger had, and the root of the tree over them
  keys.txt          the public keys, as the ledger announced them (compare them with what you were given elsewhere)
  tile/             hashes of the tree: those on the paths of the entries, and those that give the root
  proofs/           proofs of single entries that need no other file but the key
  timestamps/       tokens of time-stamping authorities (RFC 3161), each with the text that it is over
  manifest.json     every file with its size and digests
  manifest.sig      the signature of manifest.json by the key that signs checkpoints (ECDSA P-256, SHA-256, DER)

All of it at once:

  daybook-auditor verify PACK.zip --keys keys-you-trust.txt

With nothing but common tools, in the folder it was unpacked to:

  openssl dgst -sha256 -verify key.pem -signature manifest.sig manifest.json     nobody changed the list of files
  jq -r '.files[] | "\(.sha256)  \(.path)"' manifest.json | sha256sum -c          nobody changed a file
  openssl ts -verify -token_in -in timestamps/N.token -data timestamps/N.txt -CAfile roots.pem
                                                                                 it was there at that time

The pack came with a manifest and a signature of its own (PACK.zip.manifest.json, PACK.zip.sig), which say who asked for it and who
agreed. Each step, also how an entry is proved by hand, is in docs/bundle-format.md and docs/evidence-pack.md of Daybook.
"#;
