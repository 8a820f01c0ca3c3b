//! The last part of the report: what proves the pack, and how anybody verifies it, step by step.

use std::fmt::{self, Write};

use super::model::Proof;
use super::report::{close_table, grouped, moment, open_table, safe};

pub(super) fn write(page: &mut String, proof: &Proof) -> fmt::Result {
    writeln!(
        page,
        "<section id=\"proof\">\n<h2>8. How it is proved</h2>\n<p>Every entry is a line in <code>entries.ndjson</code> and has a \
         hash over all of its fields and its contents. All entries of the ledger together are the leaves of one tree of hashes, \
         whose root is one number: change, leave out, add or move one entry, and it is another. The root is signed. The hashes \
         in <code>tile/</code> lead from each entry in this pack to that root, so that each is proved by itself, although the \
         entries in between are not in here.</p>\n<dl>"
    )?;
    for (name, value) in [
        ("Signed as", proof.origin.clone()),
        ("Entries under it", grouped(proof.size)),
        ("Root", proof.root.clone()),
        ("Positions in here", format!("{} to {}", proof.positions.0, proof.positions.1)),
    ] {
        writeln!(page, "<dt>{name}</dt><dd>{}</dd>", safe(&value))?;
    }
    writeln!(page, "</dl>\n<p>The checkpoint, as it was signed:</p>\n<pre>{}</pre>", safe(&proof.note))?;
    writeln!(page, "<p>The keys, as the ledger announced them:</p>\n<pre>{}</pre>", safe(&proof.keys.join("\n")))?;
    timestamps(page, proof)?;
    writeln!(
        page,
        "<p><strong>What this does not prove.</strong> That what was recorded is true; who sat at a keyboard; that the signing key \
         is the organisation\u{2019}s, for which it has to be compared with one that was received elsewhere; and, without a time \
         stamp, when the entries were made, beyond the server\u{2019}s own clock. That nothing that belongs here was left out is \
         said by the signature on <code>manifest.json</code>, which is the organisation\u{2019}s word, and is seen by whoever \
         has the whole ledger.</p>\n</section>"
    )?;
    page.write_str(STEPS)
}

fn timestamps(page: &mut String, proof: &Proof) -> fmt::Result {
    if proof.timestamps.is_empty() {
        return writeln!(page, "<p>No time-stamping authority has stamped these entries yet.</p>");
    }
    let caption = "Time stamps of authorities outside (RFC 3161): what they cover existed at that time";
    open_table(page, caption, &["Stamped", "Entries", "Authority", "Files"])?;
    for stamp in &proof.timestamps {
        writeln!(
            page,
            "<tr><td class=\"time\">{}</td><td class=\"number\">the first {}</td><td>{}</td>\
             <td><code>timestamps/{}.token</code>, <code>.txt</code></td></tr>",
            safe(&moment(&stamp.at)),
            grouped(stamp.size),
            safe(&stamp.authority),
            stamp.position
        )?;
    }
    close_table(page)?;
    if proof.timestamps_cut {
        let count = grouped(proof.timestamps.len() as u64);
        writeln!(
            page,
            "<p class=\"cut\">There are earlier time stamps over entries in here. Only the last {count} are in this pack, up to the \
             first one that covers everything, where there is one; the others are in the ledger.</p>"
        )?;
    }
    Ok(())
}

const STEPS: &str = r#"<section id="verify">
<h2>9. How to verify it</h2>
<p>With the auditor&#8217;s program, which shares nothing with the one that made this pack but the layout of the bytes that are hashed, all
of it is one command. <code>keys.txt</code> of this pack vouches for nothing: take the keys from elsewhere.</p>
<pre>daybook-auditor verify PACK.zip --keys keys-you-trust.txt</pre>
<p>With nothing but everyday tools, in the folder that the pack was unpacked to, with the public key in <code>key.pem</code>:</p>
<ol class="steps">
<li><p><strong>The pack is the one that was asked for.</strong> It came with two files beside it, a manifest and its signature.</p>
<pre>openssl dgst -sha256 -verify key.pem -signature PACK.zip.sig PACK.zip.manifest.json
sha256sum PACK.zip        # the same as file.sha256 in PACK.zip.manifest.json</pre></li>
<li><p><strong>Nobody changed a file in it.</strong> The list of files is signed, and each file is as listed.</p>
<pre>openssl dgst -sha256 -verify key.pem -signature manifest.sig manifest.json
jq -r '.files[] | "\(.sha256)  \(.path)"' manifest.json | sha256sum -c --quiet</pre></li>
<li><p><strong>The checkpoint was signed.</strong> What is signed is the text up to the empty line.</p>
<pre>sed '/^$/,$d' checkpoint &gt; body.txt
grep '^— ' checkpoint | head -1 | cut -d' ' -f3 | base64 -d | tail -c +5 &gt; body.sig
openssl dgst -sha256 -verify key.pem -signature body.sig body.txt</pre></li>
<li><p><strong>An entry is what was recorded.</strong> The BLAKE3 of its contents is in its line.</p>
<pre>head -1 entries.ndjson | python3 -c 'import sys; line = sys.stdin.read(); start = line.index("\"payload\":") + 10
sys.stdout.write(line[start:line.rindex(",\"payload_digest\":")])' | b3sum</pre></li>
<li><p><strong>An entry is under the root.</strong> A proof file leads from one entry to the signed root, and needs no other file but the
key. The tiles prove all the others; docs/bundle-format.md of Daybook says how.</p>
<pre>daybook-auditor check proofs/N.tlog-proof --keys keys-you-trust.txt</pre></li>
<li><p><strong>It was there at that time.</strong> With the root certificate of the time-stamping authority, where there is a time stamp:</p>
<pre>openssl ts -verify -token_in -in timestamps/N.token -data timestamps/N.txt -CAfile roots.pem</pre></li>
</ol>
</section>
"#;
