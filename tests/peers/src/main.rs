//! Durable single-event appends a second on a running UmaDB server, at several numbers of writers.
//!
//! `daybook-peers URL` prints `writers rate p50_ms p99_ms`, a line each. Every append is one event of about 300 bytes with
//! the tag of its own new stream, on the condition that no event has that tag yet: what Daybook checks as a version.
//! `BENCH_SECONDS` (default 5) is how long each number of writers runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use umadb_client::UmaDbClient;
use umadb_dcb::{DcbAppendCondition, DcbEvent, DcbEventStoreAsync, DcbQuery, DcbQueryItem};
use uuid::Uuid;

const WRITERS: [usize; 4] = [1, 8, 64, 512];
/// Connections that the writers share; one alone would be the limit.
const CONNECTIONS: usize = 8;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: daybook-peers URL")?;
    let seconds = std::env::var("BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5.0);
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(Arc::new(UmaDbClient::new(url.clone()).connect_async().await?));
    }
    let payload =
        format!(r#"{{"amount":"1234.50","currency":"EUR","account":"ACC-0001","note":"{}"}}"#, "n".repeat(200));
    for writers in WRITERS {
        let started = Instant::now();
        let until = started + Duration::from_secs_f64(seconds);
        let tasks: Vec<_> = (0..writers)
            .map(|writer| {
                let (client, payload) = (Arc::clone(&clients[writer % CONNECTIONS]), payload.clone());
                tokio::spawn(async move {
                    let mut latencies = Vec::new();
                    while Instant::now() < until {
                        let begun = Instant::now();
                        let stream = format!("payment:{}", Uuid::now_v7());
                        let unused = DcbQuery::new().item(DcbQueryItem::new().tags([stream.as_str()]));
                        let event = DcbEvent::default()
                            .event_type("payment.made")
                            .tags([stream.as_str()])
                            .data(payload.as_bytes())
                            .uuid(Uuid::now_v7());
                        let condition = DcbAppendCondition::new(unused);
                        client.append(vec![event], Some(condition), None).await.map_err(|error| error.to_string())?;
                        latencies.push(begun.elapsed());
                    }
                    Ok::<_, String>(latencies)
                })
            })
            .collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await??);
        }
        let elapsed = started.elapsed().as_secs_f64();
        latencies.sort_unstable();
        let at = |quantile: f64| latencies[((latencies.len() - 1) as f64 * quantile) as usize].as_secs_f64() * 1_000.0;
        println!("{writers} {:.0} {:.2} {:.2}", latencies.len() as f64 / elapsed, at(0.5), at(0.99));
    }
    Ok(())
}
