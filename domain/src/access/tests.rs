//! What a process records is bounded and sealed.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::testing::{line, now, sealed};

fn read() -> Read {
    Read {
        at: now(),
        route: line("/v1/transactions"),
        status: 200,
        query: Some(sealed("usr_1")),
        request_id: line("req_1"),
    }
}

#[test]
fn one_entry_holds_1_to_200_reads() {
    for (count, accepted) in [(0, false), (1, true), (MAX_READS, true), (MAX_READS + 1, false)] {
        let reads = vec![read(); count];
        let json = serde_json::to_string(&reads).unwrap();
        let list = ReadList::parse("/reads", reads);
        assert_eq!(list.is_ok(), accepted, "{count}");
        assert_eq!(serde_json::from_str::<ReadList>(&json).is_ok(), accepted);
        if let Ok(list) = list {
            assert_eq!(list.as_slice().len(), count);
        }
    }
}

#[test]
fn the_longest_reads_fit_into_one_payload() {
    // The most that one payload may have, less what is around the reads.
    const ROOM: usize = 512 * 1024 - 1_024;
    let sealed_query = "A".repeat((MAX_QUERY_BYTES + 40).div_ceil(3) * 4);
    let widest = Read {
        // A character outside the basic plane has four bytes.
        route: line(&"/𝄞".repeat(100)),
        request_id: line(&"r".repeat(200)),
        query: Some(Personal::parse("", format!("usr_{}", "a".repeat(64)), format!("dbs1.{sealed_query}")).unwrap()),
        ..read()
    };
    let bytes = serde_json::to_vec(&vec![widest; MAX_READS]).unwrap().len();
    assert!(bytes < ROOM, "{bytes}");
}
