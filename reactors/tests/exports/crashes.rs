//! A process that is gone at any moment. Whatever it was about to do, the next one goes on with it, and in the end there is
//! one file, which is what was recorded, and each destination has been brought it under one id.

use super::on_both_stores;

on_both_stores!(wherever_it_is_interrupted_there_is_one_file_and_one_delivery_in_the_end);

mod suite {
    use std::collections::BTreeSet;
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::Poll;
    use std::time::Duration;

    use daybook_domain::export::{Delivery, DeliveryOutcome, ExportFormat, ExportKind};
    use daybook_exports::delivery::Destination;
    use tokio::sync::watch;

    use crate::world::{Scripted, World, destination, is_settled};

    /// Runs a future until it was asked to go on so many times, and drops it then: whatever it was waiting for.
    async fn interrupted<F: Future>(future: F, polls: usize) -> bool {
        let mut future = pin!(future);
        let mut left = polls;
        std::future::poll_fn(|task| {
            if left == 0 {
                return Poll::Ready(false);
            }
            left -= 1;
            match future.as_mut().poll(task) {
                Poll::Ready(_) => Poll::Ready(true),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    pub async fn wherever_it_is_interrupted_there_is_one_file_and_one_delivery_in_the_end(mut world: World) {
        // No attempt is the last because of interruptions alone.
        world.settings.generation.attempts = 1;
        world.record(30).await;
        let scripted = Scripted::new(&[]);
        let to: [(&str, Arc<dyn Destination>); 1] = [("bank", scripted.clone())];
        let projections = world.projections();
        let (stop, stopping) = watch::channel(false);
        let folding = tokio::spawn(async move { projections.run(stopping).await });
        // The number of times that a driver is asked to go on before it is gone; each run begins at another one.
        for first in [1, 2, 3, 5, 8, 13] {
            let mut request = world.request(ExportKind::Transactions, ExportFormat::Csv);
            request.deliver_to = vec![destination("bank")];
            let id = world.ask_and_approve(request).await;
            let mut polls = first;
            let export = loop {
                let driver = world.driver(&to).await;
                let (_running, never) = watch::channel(false);
                // On PostgreSQL the lease of a process that is gone has to end first.
                let going = tokio::time::timeout(Duration::from_secs(3), interrupted(driver.run(never), polls));
                let _ = going.await;
                // A failure counts as such, and is waited for.
                world.pass_seconds(1_000);
                let export = world.export(&id).await;
                if is_settled(&export) {
                    break export;
                }
                assert!(polls < 100_000, "it does not get there: {export:#?}");
                polls += 1 + polls / 4;
            };
            assert_eq!(world.verify(&export).findings, []);
            let generated = export.generated().unwrap();
            assert_eq!(generated.rows, 30);
            let deliveries: Vec<&Delivery> = export.deliveries().iter().collect();
            assert_eq!(deliveries.len(), 1);
            assert_eq!(deliveries[0].outcome, Some(DeliveryOutcome::Delivered));
            let seen = scripted.seen.lock().unwrap().clone();
            let ids: BTreeSet<&String> =
                seen.iter().filter(|seen| *seen == deliveries[0].delivery_id.as_str()).collect();
            assert_eq!(ids.len(), 1, "repeated, perhaps, but under one id");
            // Attempts follow each other without a gap, and one of them made the file.
            let started: Vec<_> = world.entries("export.generation_started").await;
            let of_this = started.iter().filter(|entry| entry.stream.stream_id == id).count();
            assert_eq!(u64::try_from(of_this).unwrap(), generated.attempt);
            let made = world.entries("export.generated").await;
            assert_eq!(made.iter().filter(|entry| entry.stream.stream_id == id).count(), 1);
            let consumed = world.entries("approval.consumed").await;
            let approval = id.replace("exp_", "apr_");
            assert_eq!(consumed.iter().filter(|entry| entry.stream.stream_id == approval).count(), 1);
            let names: Vec<String> =
                world.names().into_iter().filter(|name| name.starts_with(&format!("{id}."))).collect();
            assert_eq!(names.len(), 3, "{names:?}");
        }
        stop.send_replace(true);
        folding.await.unwrap();
        // Nothing is left to do, and nothing on the list once a driver has looked.
        let driver = world.driver(&to).await;
        let (stop, stopping) = watch::channel(false);
        let driving = tokio::spawn(async move { driver.run(stopping).await.unwrap() });
        let empty = async {
            loop {
                let left: i64 = sqlx::query_scalar("select count(*) from export_work")
                    .fetch_one(world.database.readers())
                    .await
                    .unwrap();
                if left == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), empty).await.unwrap();
        stop.send_replace(true);
        driving.await.unwrap();
    }
}
