//! The attacks: what is done, by whom, what an auditor must have kept, and what the program says. `docs/attacks.md` is made
//! of this table, and each row is tried by the test that it names.
#![allow(dead_code, reason = "the page needs other parts than the tests with running servers")]

use Group::{Held, Open, Outside, Rewritten, Rows};
use Place::{Checkpoint, Ending, Entry, Gone, History, Next, One, Replayed, Seal, Since, Tile};
use Who::{Courier, KeyHolder, Owner, Writer};

/// Who can do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Writer,
    Owner,
    KeyHolder,
    Courier,
}

/// Where a finding is, in terms of the entry that was attacked and the checkpoint that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The entry.
    Entry,
    /// The entry, as a range of one.
    One,
    /// The entry after it.
    Next,
    /// First entry of the tile that it is in.
    Tile,
    /// The next seal, where there is one.
    Seal,
    /// What the checkpoint covers; with a memory the part of 256 entries in which the difference begins.
    History,
    /// What the checkpoint covers.
    Checkpoint,
    /// What the checkpoint covers, where the entry is the last of it: what follows, which tells, is not part of the tree.
    Ending,
    /// From what is left to the size of the checkpoint.
    Gone,
    /// From the size that is presented to the size that was kept.
    Replayed,
    /// From the checkpoint before to the one that was kept.
    Since,
}

/// Part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Rows,
    Rewritten,
    Held,
    Outside,
    Open,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    pub group: Group,
    pub name: &'static str,
    pub does: &'static str,
    pub who: Who,
    /// What the auditor must have, beside the source.
    pub kept: &'static str,
    /// Kinds of findings and where, each kind once; empty where nothing is found.
    pub found: &'static [(&'static str, Place)],
    /// Name of the test function.
    pub test: &'static str,
}

const NOTHING: &str = "nothing";
const KEPT: &str = "a checkpoint, or a memory";
const KEPT_AND_KEYS: &str = "a checkpoint or a memory, and the keys";
const KEYS: &str = "the keys";
const ROWS: &str = "changed_rows_are_named";
const REWRITTEN: &str = "rewritten_history_is_named";
const PRESENTED: &str = "what_a_store_presents_is_held_against_what_was_kept";
const TAIL: &str = "what_no_checkpoint_covers_yet_can_be_rewritten_until_one_does";
const KEY: &str = "checkpoints_that_the_key_did_not_sign_then_are_named";

pub const ATTACKS: &[Attack] = &[
    Attack {
        group: Rows,
        name: "edit a payload",
        does: "changes what an entry says",
        who: Writer,
        kept: NOTHING,
        found: &[("payload_digest_mismatch", Entry)],
        test: ROWS,
    },
    Attack {
        group: Rows,
        name: "edit another column",
        does: "changes who an entry says did it",
        who: Writer,
        kept: NOTHING,
        found: &[("hash_mismatch", Entry)],
        test: ROWS,
    },
    Attack {
        group: Rows,
        name: "edit an entry and its hash",
        does: "changes an entry and makes its digests right, not those after it",
        who: Writer,
        kept: "nothing; a checkpoint or a memory for the second kind",
        found: &[("entry_replaced", Entry), ("tree_not_extending", Ending)],
        test: ROWS,
    },
    Attack {
        group: Rows,
        name: "delete an entry",
        does: "removes a row",
        who: Writer,
        kept: NOTHING,
        found: &[("position_gap", Entry)],
        test: ROWS,
    },
    Attack {
        group: Rows,
        name: "delete an entry and close the gap",
        does: "removes a row, moves the later ones down, makes the head's size right",
        who: Writer,
        kept: NOTHING,
        found: &[("hash_mismatch", Entry)],
        test: ROWS,
    },
    Attack {
        group: Rows,
        name: "insert an entry",
        does: "moves the later rows up and puts in one that is right in itself",
        who: Writer,
        kept: "nothing; a checkpoint or a memory for the second kind",
        found: &[("hash_mismatch", Next), ("tree_not_extending", Ending)],
        test: ROWS,
    },
    Attack {
        group: Rows,
        name: "swap two entries",
        does: "exchanges the positions of an entry and the next one",
        who: Writer,
        kept: NOTHING,
        found: &[("hash_mismatch", Entry)],
        test: ROWS,
    },
    Attack {
        group: Rows,
        name: "cut off the end",
        does: "removes an entry and all after it",
        who: Writer,
        kept: "nothing; a checkpoint or a memory for the last kind",
        found: &[("position_gap", Entry), ("tile_mismatch", Tile), ("ledger_truncated", Gone)],
        test: ROWS,
    },
    Attack {
        group: Rewritten,
        name: "edit and re-chain",
        does: "changes an entry; makes every digest, hash and link after it right, and the head",
        who: Owner,
        kept: KEPT,
        found: &[("tile_mismatch", Tile), ("seal_mismatch", Seal), ("tree_not_extending", History)],
        test: REWRITTEN,
    },
    Attack {
        group: Rewritten,
        name: "edit and re-chain, tiles too",
        does: "the same, and makes the stored tiles of the tree right",
        who: Owner,
        kept: KEPT,
        found: &[("seal_mismatch", Seal), ("tree_not_extending", History)],
        test: REWRITTEN,
    },
    Attack {
        group: Rewritten,
        name: "edit and re-chain, seals too",
        does: "the same, and forges the seals: from the inside everything agrees",
        who: Owner,
        kept: KEPT,
        found: &[("tree_not_extending", History)],
        test: REWRITTEN,
    },
    Attack {
        group: Rewritten,
        name: "edit, re-chain, take away checkpoints",
        does: "the same, and removes every checkpoint from the store",
        who: Owner,
        kept: KEPT,
        found: &[("tree_not_extending", History)],
        test: REWRITTEN,
    },
    Attack {
        group: Rewritten,
        name: "edit, re-chain, forge checkpoints",
        does: "the same, and puts in further checkpoints that nobody signed, to mislead about the place",
        who: Owner,
        kept: KEPT,
        found: &[("tree_not_extending", History)],
        test: REWRITTEN,
    },
    Attack {
        group: Rewritten,
        name: "edit, re-chain, sign again",
        does: "the same, and signs the new history with the real key",
        who: KeyHolder,
        kept: KEPT_AND_KEYS,
        found: &[("tree_not_extending", History), ("fork", Checkpoint)],
        test: REWRITTEN,
    },
    Attack {
        group: Rewritten,
        name: "delete and re-chain",
        does: "removes an entry and makes everything right",
        who: Owner,
        kept: KEPT,
        found: &[("tree_not_extending", History)],
        test: REWRITTEN,
    },
    Attack {
        group: Rewritten,
        name: "insert and re-chain",
        does: "puts in an entry and makes everything right",
        who: Owner,
        kept: KEPT,
        found: &[("tree_not_extending", History)],
        test: REWRITTEN,
    },
    Attack {
        group: Rewritten,
        name: "swap and re-chain",
        does: "exchanges two entries and makes everything right",
        who: Owner,
        kept: KEPT,
        found: &[("tree_not_extending", History)],
        test: REWRITTEN,
    },
    Attack {
        group: Rewritten,
        name: "cut off the end and fix the head",
        does: "removes an entry and all after it, makes head, tiles and checkpoints those of the shorter ledger",
        who: Owner,
        kept: KEPT,
        found: &[("ledger_truncated", Gone)],
        test: REWRITTEN,
    },
    Attack {
        group: Rewritten,
        name: "hand over a rewritten copy",
        does: "rewrites everything in a copy under another name, without checkpoints that would say which log it is",
        who: Owner,
        kept: "a memory and the keys",
        found: &[("tree_not_extending", History)],
        test: "a_copy_that_does_not_say_whose_it_is_is_held_against_the_memory_of_the_keys",
    },
    Attack {
        group: Held,
        name: "remove the ledger",
        does: "removes every row of it",
        who: Writer,
        kept: KEPT,
        found: &[("ledger_truncated", Gone)],
        test: PRESENTED,
    },
    Attack {
        group: Held,
        name: "replay an old checkpoint",
        does: "presents an older checkpoint as the newest",
        who: Courier,
        kept: KEPT,
        found: &[("checkpoint_replayed", Replayed)],
        test: PRESENTED,
    },
    Attack {
        group: Held,
        name: "put back a backup",
        does: "puts an older copy of the database in the place of the newer (the server itself refuses to start on it)",
        who: Writer,
        kept: KEPT,
        found: &[("ledger_truncated", Gone), ("checkpoint_replayed", Replayed)],
        test: "an_old_backup_is_refused_by_the_server_and_named_by_the_auditor",
    },
    Attack {
        group: Held,
        name: "put back a backup and go on",
        does: "the same, takes away what the server remembers, and lets it go on and sign",
        who: KeyHolder,
        kept: KEPT_AND_KEYS,
        found: &[("tree_not_extending", History), ("fork", Checkpoint)],
        test: "an_old_backup_that_went_on_is_named",
    },
    Attack {
        group: Held,
        name: "show two histories",
        does: "runs two servers on two stores with one key, and shows one to each visitor",
        who: KeyHolder,
        kept: KEPT_AND_KEYS,
        found: &[("tree_not_extending", History), ("fork", Checkpoint)],
        test: "two_servers_with_one_key_are_a_fork",
    },
    Attack {
        group: Outside,
        name: "sign with another key",
        does: "presents a checkpoint that another key signed under the log's name",
        who: Courier,
        kept: KEYS,
        found: &[("key_unknown", Checkpoint)],
        test: KEY,
    },
    Attack {
        group: Outside,
        name: "claim the log's key",
        does: "puts the log's key on a signature that it did not make over this",
        who: Courier,
        kept: KEYS,
        found: &[("signature_invalid", Checkpoint)],
        test: KEY,
    },
    Attack {
        group: Outside,
        name: "sign with a retired key",
        does: "signs with a key after its last day",
        who: KeyHolder,
        kept: "the keys with their days",
        found: &[("key_expired", Checkpoint)],
        test: KEY,
    },
    Attack {
        group: Outside,
        name: "tamper with a tile",
        does: "changes a hash in a stored tile of the tree",
        who: Writer,
        kept: NOTHING,
        found: &[("tile_mismatch", Tile)],
        test: PRESENTED,
    },
    Attack {
        group: Outside,
        name: "serve a tampered tile",
        does: "serves a tile that was changed, or a proof made from it (the server itself refuses to make one)",
        who: Writer,
        kept: NOTHING,
        found: &[("proof_invalid", One)],
        test: "a_proof_from_a_tampered_tile_is_refused",
    },
    Attack {
        group: Outside,
        name: "tamper with a proof",
        does: "changes the entry, the index or any hash of the path in a proof file",
        who: Courier,
        kept: NOTHING,
        found: &[("proof_invalid", One)],
        test: "a_proof_changed_in_any_line_is_refused",
    },
    Attack {
        group: Outside,
        name: "stamp something else",
        does: "puts a time stamp over another checkpoint beside this one",
        who: Owner,
        kept: "the certificates of the time-stamping authority",
        found: &[("timestamp_invalid", One)],
        test: "a_time_stamp_over_another_checkpoint_is_named",
    },
    Attack {
        group: Open,
        name: "rewrite what is not covered yet",
        does: "changes entries after the newest checkpoint that was kept, and makes everything right",
        who: Owner,
        kept: KEPT,
        found: &[],
        test: TAIL,
    },
    Attack {
        group: Open,
        name: "cut off what is not covered yet",
        does: "removes entries after the newest checkpoint that was kept, and makes everything right",
        who: Owner,
        kept: KEPT,
        found: &[],
        test: TAIL,
    },
    Attack {
        group: Open,
        name: "rewrite what the next checkpoint covers",
        does: "the first of these, where the next checkpoint was kept as well (and is taken out of the store)",
        who: Owner,
        kept: "a memory, and the later checkpoint",
        found: &[("tree_not_extending", Since), ("checkpoint_replayed", Replayed)],
        test: TAIL,
    },
    Attack {
        group: Open,
        name: "cut off what the next checkpoint covers",
        does: "the second of these, where the next checkpoint was kept as well (and is taken out of the store)",
        who: Owner,
        kept: "the later checkpoint",
        found: &[("ledger_truncated", Gone), ("checkpoint_replayed", Replayed)],
        test: TAIL,
    },
    Attack {
        group: Open,
        name: "backdate a signature",
        does: "signs a new history with a stolen, retired key, and has its seals state days on which the key counted",
        who: KeyHolder,
        kept: "the keys with their days, but no checkpoint",
        found: &[],
        test: "a_stolen_retired_key_can_backdate_where_nothing_was_kept",
    },
];

/// The row of that name.
pub fn attack(name: &str) -> &'static Attack {
    ATTACKS.iter().find(|attack| attack.name == name).unwrap_or_else(|| panic!("no attack is called {name}"))
}

/// What the places of a row come to in one trial.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trial {
    /// The entry that was attacked.
    pub entry: u64,
    /// The first seal after it, among what was there before.
    pub seal: Option<u64>,
    /// Size of the newest checkpoint that was kept.
    pub covered: u64,
    /// Size of the checkpoint before it, where that was kept as well.
    pub before: u64,
    /// Entries that are left.
    pub left: u64,
    /// Size of the newest checkpoint that is presented.
    pub presented: u64,
    /// Whether the auditor has a memory, and not only a checkpoint.
    pub remembered: bool,
}

/// A finding: kind, first position, position after the last. A finding of the integrity of entries has no last.
pub type Found = (String, Option<u64>, Option<u64>);

impl Attack {
    /// What is to be found, in the order of kinds.
    pub fn expected(&self, trial: &Trial) -> Vec<Found> {
        let place = |place| {
            let tile = trial.entry / 256 * 256;
            Some(match place {
                Entry => (trial.entry, None),
                One => (trial.entry, Some(trial.entry + 1)),
                Next => (trial.entry + 1, None),
                Tile => (tile, None),
                Seal => (trial.seal?, None),
                Ending if trial.entry + 1 != trial.covered => return None,
                History if trial.remembered => (tile, Some(trial.covered.min(tile + 256))),
                History | Checkpoint | Ending => (0, Some(trial.covered)),
                Gone => (trial.left, Some(trial.covered)),
                Replayed => (trial.presented, Some(trial.covered)),
                Since => (trial.before, Some(trial.covered)),
            })
        };
        let found = self.found.iter().filter_map(|(kind, at)| {
            let (from, until) = place(*at)?;
            Some(((*kind).to_owned(), Some(from), until))
        });
        let mut found: Vec<Found> = found.collect();
        found.sort();
        found
    }

    /// Panics unless `code` and `evidence`, what the program printed, are what the row says.
    pub fn holds(&self, trial: &Trial, code: i32, evidence: &serde_json::Value) {
        let expected = self.expected(trial);
        let found = found_in(evidence);
        assert_eq!(found, expected, "{}: {trial:?}\n{evidence:#}", self.name);
        assert_eq!(code, i32::from(!expected.is_empty()), "{}: {trial:?}", self.name);
    }
}

/// The first finding of each kind, in the order of kinds.
pub fn found_in(evidence: &serde_json::Value) -> Vec<Found> {
    let ledgers = evidence["ledgers"].as_array().into_iter().flatten();
    let main = ledgers.filter(|ledger| ledger["ledger_id"] == "main");
    let of_ledger = main.flat_map(|ledger| [&ledger["integrity"]["findings"], &ledger["findings"]]);
    let lists = of_ledger.chain([&evidence["missing"], &evidence["store_findings"], &evidence["findings"]]);
    let mut found: Vec<Found> = Vec::new();
    for finding in lists.filter_map(serde_json::Value::as_array).flatten() {
        let kind = finding["kind"].as_str().unwrap_or_default().to_owned();
        if found.iter().all(|known| known.0 != kind) {
            found.push((kind, finding["position"].as_u64(), finding["until"].as_u64()));
        }
    }
    found.sort();
    found
}
