//! How fast projectors fold. Not a test of right or wrong: `cargo nextest run --run-ignored only throughput --no-capture`.

use std::time::Instant;

use serde_json::json;

use crate::support::{World, on_every_store_ignored, recorded};

on_every_store_ignored! { entries_a_second }

async fn entries_a_second(world: World) {
    const TRANSACTIONS: u64 = 40_000;
    for round in 0..40 {
        let commands = (0..1_000).map(|number| {
            // Scattered ids, as clients have them.
            let id = format!("txn_{:016x}", (round * 1_000_u64 + number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut content = recorded(&id, "1234.50");
            content["account"] = json!(format!("ACC-{}", number % 500));
            content["counterparty"] = json!(format!("CP-{}", number % 97));
            content["meta"] = json!({"venue": "XLON", "desk": "rates"});
            world.prepare("transaction", &id, &[("recorded", content)])
        });
        world.append_all(commands.collect()).await;
    }
    for projector in daybook_projections::all() {
        let name = projector.name();
        let projections = world.projections_of(vec![projector]);
        let begin = Instant::now();
        projections.catch_up().await.unwrap();
        let seconds = begin.elapsed().as_secs_f64();
        println!("{name}: {TRANSACTIONS} entries in {seconds:.2} s");
    }
}
