//! The catalogue's part about what leaves the house.

use super::{EventDescription, describe};

pub(super) const EXPORTS: &[EventDescription] = &[
    describe!(
        "export",
        "export.requested",
        "Somebody wants records to leave the house; the approval with this digest decides.",
        r#"{"export_id":"exp_1","kind":"transactions","format":"csv","filters":{"currency":"USD"},"columns":["transaction_id","amount","currency"],"requested_by":"key_0123456789ab","person":"usr_5f0c2a9d3b7e41866a1d0c42","approval_id":"apr_1","deliver_to":["archive"],"collect":true,"reason":"Asked for by the auditor","digest":"a3c1f0d25b7e4896a3c1f0d25b7e4896a3c1f0d25b7e4896a3c1f0d25b7e4896"}"#
    ),
    describe!(
        "export",
        "export.approved",
        "The approval of an export was used up: the file may be made.",
        r#"{"approval_id":"apr_1","execution_id":"exp_1","policy_version":2,"approved_by":["usr_0b1c2d3e4f5061728394a5b6"],"at":"2026-11-21T10:06:00.000000Z"}"#
    ),
    describe!(
        "export",
        "export.rejected",
        "An export is not made: its approval ended otherwise.",
        r#"{"approval_id":"apr_1","why":"rejected"}"#
    ),
    describe!(
        "export",
        "export.generation_started",
        "A process began to make the file, under a fencing number that no later process has.",
        r#"{"attempt":1,"fence":7,"at":"2026-11-21T10:06:00.000000Z"}"#
    ),
    describe!(
        "export",
        "export.generated",
        "The file is there, with its manifest and signature; what they contain is bound into the ledger by its digests.",
        r#"{"attempt":1,"file":"exp_1.csv","bytes":18204,"rows":312,"blake3":"a3c1f0d25b7e4896a3c1f0d25b7e4896a3c1f0d25b7e4896a3c1f0d25b7e4896","sha256":"0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0","manifest":{"file":"exp_1.manifest.json","blake3":"0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0","sha256":"a3c1f0d25b7e4896a3c1f0d25b7e4896a3c1f0d25b7e4896a3c1f0d25b7e4896"},"signature":{"algorithm":"ecdsa-p256-sha256","key_id":"d2fe0d70","file":"exp_1.manifest.json.sig","value":"MEUCIQDSPhvEw/bOjzqkRdWgWyLQ2p9k9ME8zXcUjVZ8x1jY8QIgV5hYhO2o2cQ7m8r2l0Z8c9n8a2g0k6w3q1d7x5s9v4U="},"range":{"first":0,"last":40,"first_hash":"5e2c51c35cd3f0b6f4f5a2bb1ad21a36b1a4a9b1f3ce7e3f3e52f1c9a0a4c9d1","last_hash":"5e2c51c35cd3f0b6f4f5a2bb1ad21a36b1a4a9b1f3ce7e3f3e52f1c9a0a4c9d1"},"checkpoint":{"size":41,"root":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"},"at":"2026-11-21T10:06:00.000000Z"}"#
    ),
    describe!(
        "export",
        "export.generation_failed",
        "An attempt to make the file came to nothing.",
        r#"{"attempt":1,"why":"the disk is full","is_final":false,"at":"2026-11-21T10:06:00.000000Z"}"#
    ),
    describe!(
        "export",
        "export.delivery_scheduled",
        "The file is to be brought somewhere; a receiver knows a repetition by the id.",
        r#"{"delivery_id":"dlv_1","destination":"archive","why":"first"}"#
    ),
    describe!(
        "export",
        "export.delivery_attempted",
        "Somebody tried to bring the file there.",
        r#"{"delivery_id":"dlv_1","destination":"archive","attempt":1,"outcome":"failed","detail":"503 from the bucket","retry_at":"2026-11-21T10:07:00.000000Z","at":"2026-11-21T10:06:00.000000Z"}"#
    ),
    describe!(
        "export",
        "export.verified",
        "The file was read again and compared with what was recorded.",
        r#"{"result":"tampered","findings":["file_changed: the BLAKE3 of the file is another"],"by":"usr_0b1c2d3e4f5061728394a5b6","at":"2026-11-21T10:06:00.000000Z"}"#
    ),
    describe!(
        "export",
        "export.collected",
        "Whoever asked for an export took the file.",
        r#"{"by":"key_0123456789ab","at":"2026-11-21T10:06:00.000000Z"}"#
    ),
    describe!(
        "export",
        "export.cancelled",
        "Somebody did not want an export any more.",
        r#"{"by":"usr_5f0c2a9d3b7e41866a1d0c42","reason":"Not needed","at":"2026-11-21T10:06:00.000000Z"}"#
    ),
    describe!(
        "export",
        "export.removed",
        "The file of an export was removed; what is recorded of it stays.",
        r#"{"by":"usr_5f0c2a9d3b7e41866a1d0c42","why":"Its time is over","at":"2026-11-21T10:06:00.000000Z"}"#
    ),
];
