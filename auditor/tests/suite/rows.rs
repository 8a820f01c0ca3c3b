//! A ledger's rows as plain values, and what somebody who owns them can do to them. The attacker's tool is the ledger's own
//! code, so that nothing the attacker makes right again is wrong by accident.

use daybook_ledger::canonical::digest;
use daybook_ledger::merkle::{Frontier, leaf, root_of};
use daybook_ledger::{Hash, LedgerId};

use super::table::attack;
use crate::common::image::*;
use crate::common::mutations::{canonical, rehash};
use crate::signing::LogKey;
use crate::workbench::ORIGIN;

/// Position and names of the columns that [`crate::common::image`] does not name.
const STREAM_TYPE: usize = 3;
const EVENT_TYPE: usize = 6;
const ACTOR_ID: usize = 10;

/// A row of `ledger_tiles`.
#[derive(Debug, Clone)]
pub struct TileRow {
    pub level: i64,
    pub tile: i64,
    pub root: Vec<u8>,
    pub hashes: Vec<u8>,
}

/// A row of `ledger_checkpoints`.
#[derive(Debug, Clone)]
pub struct CheckpointRow {
    pub size: i64,
    pub root: Vec<u8>,
    pub note: String,
    pub signed_at: i64,
}

/// The ledger `main`.
#[derive(Debug, Clone)]
pub struct Rows {
    /// In the order of positions.
    pub entries: Vec<Row>,
    pub heads: Vec<Row>,
    pub tiles: Vec<TileRow>,
    pub checkpoints: Vec<CheckpointRow>,
}

/// What an attacker makes right beside entries and head.
#[derive(Debug, Clone, Copy, Default)]
pub struct Remake {
    pub tiles: bool,
    pub seals: bool,
}

const ALL: Remake = Remake { tiles: true, seals: true };

impl Rows {
    /// Does what the row of that name says to the entry at `position`.
    pub fn attack(&mut self, name: &str, position: usize, key: &LogKey) {
        let position_signed = position as i64;
        match attack(name).name {
            "edit a payload" => self.forge_payload(position),
            "edit another column" => self.forge_actor(position),
            "edit an entry and its hash" => {
                self.forge_actor(position);
                rehash(&mut self.entries[position]);
            }
            "delete an entry" => drop(self.entries.remove(position)),
            "delete an entry and close the gap" => {
                self.entries.remove(position);
                self.number();
                self.heads[0][1] = Value::Integer(self.entries.len() as i64);
            }
            "insert an entry" => {
                self.insert_forged(position);
                self.number();
                rehash(&mut self.entries[position]);
                self.heads[0][1] = Value::Integer(self.entries.len() as i64);
            }
            "swap two entries" => {
                self.entries.swap(position, position + 1);
                self.number();
            }
            "cut off the end" => self.entries.truncate(position),
            "edit and re-chain" => {
                self.forge_actor(position);
                self.rechain(Remake::default());
            }
            "edit and re-chain, tiles too" => {
                self.forge_actor(position);
                self.rechain(Remake { tiles: true, seals: false });
            }
            "edit and re-chain, seals too"
            | "rewrite what is not covered yet"
            | "rewrite what the next checkpoint covers" => {
                self.forge_actor(position);
                self.rechain(ALL);
            }
            "edit, re-chain, take away checkpoints" | "hand over a rewritten copy" => {
                self.forge_actor(position);
                self.rechain(ALL);
                self.checkpoints.clear();
            }
            "edit, re-chain, forge checkpoints" => {
                self.forge_actor(position);
                self.rechain(ALL);
                // One that these entries do not come to, two that they do, and the real newest one.
                let newest = self.checkpoints.pop();
                self.sign_again(&LogKey::p256(66), &[100, 900, 1_100]);
                self.checkpoints[0].note = LogKey::p256(66).checkpoint(ORIGIN, 100, [3; 32]);
                self.checkpoints.extend(newest);
            }
            "edit, re-chain, sign again" => {
                self.forge_actor(position);
                self.rechain(ALL);
                let sizes: Vec<usize> = self.checkpoints.iter().map(|row| row.size as usize).collect();
                self.sign_again(key, &sizes);
            }
            "delete and re-chain" => {
                self.entries.remove(position);
                self.rechain(ALL);
            }
            "insert and re-chain" => {
                self.insert_forged(position);
                self.rechain(ALL);
            }
            "swap and re-chain" => {
                self.entries.swap(position, position + 1);
                self.rechain(ALL);
            }
            "cut off the end and fix the head"
            | "cut off what is not covered yet"
            | "cut off what the next checkpoint covers" => {
                self.entries.truncate(position);
                self.rechain(ALL);
                // With those it cannot keep, a cut of what is covered must lose those that would show where it was.
                let covered = self.checkpoints.iter().any(|row| row.size > position_signed);
                self.checkpoints.retain(|_| !covered);
            }
            "remove the ledger" => {
                *self = Self { entries: vec![], heads: vec![], tiles: vec![], checkpoints: vec![] };
            }
            "replay an old checkpoint" => self.checkpoints.truncate(1),
            "tamper with a tile" => self.tiles[position / 256].hashes[32 * (position % 256)] ^= 1,
            other => panic!("nobody here can {other}"),
        }
    }

    fn forge_payload(&mut self, position: usize) {
        self.entries[position][PAYLOAD] = Value::Blob(br#"{"amount":"1.00","currency":"EUR"}"#.to_vec());
    }

    fn forge_actor(&mut self, position: usize) {
        self.entries[position][ACTOR_ID] = Value::Text(b"usr_somebody_else".to_vec());
    }

    /// An entry that is chained to the one before.
    fn insert_forged(&mut self, position: usize) {
        let mut forged = self.entries[1].clone();
        let previous = position.checked_sub(1).map(|before| self.entries[before][HASH].clone());
        forged[EVENT_ID] = Value::Blob(b"forged----------".to_vec());
        forged[STREAM_TYPE] = Value::Text(b"transaction".to_vec());
        forged[STREAM_ID] = Value::Text(b"TX-forged".to_vec());
        forged[VERSION] = Value::Integer(1);
        forged[RECORDED_AT] = self.entries[position][RECORDED_AT].clone();
        forged[PREVIOUS_HASH] = previous.unwrap_or_else(|| self.entries[0][PREVIOUS_HASH].clone());
        self.entries.insert(position, forged);
    }

    fn number(&mut self) {
        for (position, entry) in self.entries.iter_mut().enumerate() {
            entry[POSITION] = Value::Integer(position as i64);
        }
    }

    /// Makes positions, times, digests, links, hashes and the head right, and what else is asked for.
    fn rechain(&mut self, remake: Remake) {
        self.number();
        let (mut tree, mut leaves, mut time) = (Frontier::default(), Vec::new(), 0);
        let mut previous = daybook_ledger::canonical::genesis(&LedgerId::main()).0.to_vec();
        for (position, entry) in self.entries.iter_mut().enumerate() {
            if remake.seals && entry[EVENT_TYPE].text() == "ledger.sealed" {
                let (hash, root) = (hex::encode(&previous), tree.root());
                let payload = format!(r#"{{"size":{position},"hash":"{hash}","root":"{root}"}}"#);
                entry[PAYLOAD] = Value::Blob(payload.into_bytes());
            }
            time = entry[RECORDED_AT].integer().max(time);
            entry[RECORDED_AT] = Value::Integer(time);
            entry[PREVIOUS_HASH] = Value::Blob(previous);
            entry[PAYLOAD_DIGEST] = Value::Blob(digest(entry[PAYLOAD].bytes()).0.to_vec());
            rehash(entry);
            previous = entry[HASH].bytes().to_vec();
            let hash = leaf(&canonical(entry));
            tree.push(hash);
            leaves.push(hash);
        }
        self.heads[0] = vec![
            Value::Text(b"main".to_vec()),
            Value::Integer(self.entries.len() as i64),
            Value::Blob(previous),
            Value::Blob(tree.root().0.to_vec()),
            Value::Blob(tree.to_bytes()),
            Value::Integer(time),
        ];
        if remake.tiles {
            let tile = |(tile, hashes): (usize, &[Hash])| TileRow {
                level: 0,
                tile: tile as i64,
                root: root_of(hashes).0.to_vec(),
                hashes: hashes.iter().flat_map(|hash| hash.0).collect(),
            };
            self.tiles = leaves.chunks_exact(256).enumerate().map(tile).collect();
        }
    }

    /// Root over the first entries.
    pub fn root_at(&self, size: usize) -> [u8; 32] {
        let mut tree = Frontier::default();
        self.entries[..size].iter().for_each(|entry| tree.push(leaf(&canonical(entry))));
        tree.root().0
    }

    /// Checkpoints of these sizes in the place of those that there are.
    pub fn sign_again(&mut self, key: &LogKey, sizes: &[usize]) {
        let checkpoint = |size: &usize| {
            let root = self.root_at(*size);
            let note = key.checkpoint(ORIGIN, *size as u64, root);
            CheckpointRow { size: *size as i64, root: root.to_vec(), note, signed_at: crate::common::START }
        };
        self.checkpoints = sizes.iter().map(checkpoint).collect();
    }
}
