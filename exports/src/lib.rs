#![doc = include_str!("../README.md")]

pub mod bundle;
pub mod delivery;
mod digest;
pub mod files;
mod format;
mod generate;
pub mod kinds;
mod manifest;
pub mod pack;
mod pieces;
mod rows;
mod signature;
mod table;
pub mod verify;

pub use digest::{Digests, digests_of, digests_of_bytes};
pub use files::{ExportFiles, FileNames, FilesError, OpenedFile, is_file_name};
pub use format::{content_type, extension};
pub use generate::{GenerateError, Written, generate};
pub use manifest::{
    Approval, Checkpoint, FileDescription, LedgerPart, MANIFEST_FORMAT, MAX_MANIFEST_BYTES, Manifest, ManifestError,
    PositionRange, Query, Request, SigningKey, Software, Times,
};
pub use pieces::PieceWriter;
pub use rows::count_rows;
pub use signature::{MAX_SIGNATURE_BYTES, ManifestKey, SealError, SealedManifest, manifest_keys, seal, sign};
pub use table::{
    Cell, CellKind, Column, MAX_BATCH_ROWS, MAX_SCHEMA_COLUMNS, Row, RowSource, Schema, SchemaError, Snapshot,
    SourceError,
};
pub use verify::{Fault, Finding, Parts, Recorded, Verification, verify};
