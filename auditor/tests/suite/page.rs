//! `docs/attacks.md`, made of the table.

use super::table::{ATTACKS, Attack, Group, Place, Who};

const INTRODUCTION: &str = "\
# Attacks

What somebody can do to a ledger behind its back, and what `daybook-auditor` says about it. Every row is an attack that
a test carries out with the real program: on ledgers of 1,560 entries, in SQLite and in PostgreSQL wherever rows are touched, at the first entry,
one in the middle and the last one that the kept checkpoint covers. The page is made of the table that the tests run
(`auditor/tests/suite/table.rs`); a test holds the two together. What a green check proves is in
[verification.md](verification.md).

The attacker has Daybook's own source code, so hashes, links, tiles and seals come out as Daybook would have made them. \"Kept\" is what the
auditor must have had *before* the attack, where the attacker cannot reach it:

- a **checkpoint**: the signed note of about 200 bytes (`--checkpoint`);
- a **memory**: what `daybook-auditor remember` wrote at an earlier visit. It holds a checkpoint, and one hash for every 256 entries, so that it tells not only
  that history was rewritten but where;
- the **keys**: the log's public key, had from somewhere else than the source (`--keys`).

The kind in `code letters` is what the program prints, as text and as JSON, with a position or a range of positions; it ends with exit
code 1. Where more than one kind is named, all of them are found.

";

const NOT_FOUND: &str = "
## What is not found, and why

- **A rewritten tail.** Entries that no kept checkpoint covers are protected by their hashes alone, and whoever owns the database can make hashes. So the
  time between two checkpoints that you keep is the time in which such a change goes unseen. The next checkpoint ends it: once it is kept, everything before
  it is fixed, and if it was kept before the change, the change is found in the range between the two. Daybook signs every ten seconds while
  something is written; how often you keep one is up to you. Receipts are the other answer: a client that kept the receipt of its entry can tell that this
  entry is gone or another one.
- **A backdated signature, where nothing was kept.** When a checkpoint was signed is taken from its seal, and the seal's time is the server's word. A thief with a
  retired key can make up a whole history whose seals state days on which the key still counted. Whoever kept an earlier checkpoint finds
  `tree_not_extending` and `fork`; witnesses and time stamps put an end to it from outside.
- **Which entry, without a memory.** A checkpoint alone says that the entries before it are not the ones that were signed. It is one hash over all of them, so it does not say
  which. With a memory the answer is a range of at most 256 entries.
- **Who did it.** The kinds say what is wrong with the ledger, not whose hand it was. A `fork` says that the holder of the key signed two histories, or that somebody
  else had the key.
- **A history that nobody saw.** If the operator rewrites the ledger before anybody keeps a checkpoint of it, there is nothing to compare
  with. Witnesses are there for that: they see every checkpoint as it is made.
- **What was never recorded, and what was recorded falsely.** No hash knows about either.
";

/// The page.
pub fn render() -> String {
    let mut page = INTRODUCTION.to_owned();
    let groups = [
        (Group::Rows, "Rows changed, and not everything after them made right"),
        (Group::Rewritten, "History rewritten, and everything made right"),
        (Group::Held, "Old states and second histories"),
        (Group::Outside, "Keys, tiles, proofs, time stamps"),
        (Group::Open, "After the last checkpoint that was kept, and without one"),
    ];
    for (group, title) in groups {
        page.push_str(&format!(
            "## {title}\n\n| attack | what is done | who can do it | kept | what the program says | test |\n\
             |---|---|---|---|---|---|\n"
        ));
        for attack in ATTACKS.iter().filter(|attack| attack.group == group) {
            let (name, does, who, kept, test) =
                (attack.name, attack.does, attack.who.words(), attack.kept, attack.test);
            page.push_str(&format!("| **{name}** | {does} | {who} | {kept} | {} | `{test}` |\n", says(attack)));
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page + NOT_FOUND
}

impl Who {
    fn words(self) -> &'static str {
        match self {
            Self::Writer => "whoever can write to the tables",
            Self::Owner => "the database's owner",
            Self::KeyHolder => "the operator, who has the signing key as well",
            Self::Courier => "whoever hands over the file or answers for the server",
        }
    }
}

impl Place {
    fn words(self) -> &'static str {
        match self {
            Self::Entry | Self::One => "that entry",
            Self::Next => "the entry after it",
            Self::Tile => "the first entry of its tile of 256",
            Self::Seal => "the next seal",
            Self::History => "somewhere the checkpoint covers; with a memory, which 256 entries",
            Self::Checkpoint => "what the checkpoint covers",
            Self::Ending => "what the checkpoint covers, where that entry is the last of it",
            Self::Gone => "the entries that are gone",
            Self::Replayed => "from the size presented to the size kept",
            Self::Since => "the entries between the two checkpoints",
        }
    }
}

/// What the page says of a row's findings.
fn says(attack: &Attack) -> String {
    let one = |(kind, place): &(&str, Place)| format!("`{kind}`: {}", place.words());
    match attack.found {
        [] => "**not found**".to_owned(),
        found => found.iter().map(one).collect::<Vec<_>>().join("; "),
    }
}
