//! From the file to where it is wanted.

use super::on_both_stores;

on_both_stores!(
    a_delivery_is_tried_again_under_its_id_until_it_succeeds,
    a_delivery_that_never_succeeds_is_given_up_and_can_be_asked_for_again,
    what_a_destination_refuses_for_good_is_not_repeated,
    a_destination_that_fails_holds_up_no_other,
    a_destination_that_is_not_configured_is_a_dead_letter,
    a_file_that_was_changed_leaves_not,
);

mod suite {
    use std::sync::Arc;

    use daybook_domain::export::{
        DeliveryCause, DeliveryOutcome, DeliveryStatus, Export, ExportCommand, ExportFormat, ExportKind,
    };
    use daybook_domain::names::DeliveryId;
    use daybook_exports::delivery::Destination;
    use tokio::sync::watch;

    use crate::world::{Answer, Scripted, World, context, destination, is_settled};

    type To<'a> = Vec<(&'a str, Arc<dyn Destination>)>;

    async fn ask(world: &World, names: &[&str]) -> String {
        world.projections().catch_up().await.unwrap();
        let mut request = world.request(ExportKind::Users, ExportFormat::Csv);
        request.deliver_to = names.iter().map(|name| destination(name)).collect();
        world.ask_and_approve(request).await
    }

    fn attempts(export: &Export, name: &str) -> (u64, Option<DeliveryOutcome>) {
        let last = export.deliveries().iter().rev().find(|delivery| delivery.destination.as_str() == name).unwrap();
        (last.attempts, last.outcome)
    }

    fn has_tried(name: &'static str, count: u64) -> impl Fn(&Export) -> bool {
        move |export| {
            let mut deliveries = export.deliveries().iter().rev();
            let last = deliveries.find(|delivery| delivery.destination.as_str() == name);
            last.is_some_and(|last| last.attempts >= count)
        }
    }

    pub async fn a_delivery_is_tried_again_under_its_id_until_it_succeeds(world: World) {
        let bank = Scripted::new(&[Answer::NotNow, Answer::NotNow]);
        let to: To = vec![("bank", bank.clone())];
        let id = ask(&world, &["bank"]).await;
        // Each time by another process.
        let export = world.drive(&to, &id, has_tried("bank", 1)).await;
        let delivery = &export.deliveries()[0];
        let pause = delivery.retry_at.unwrap().micros() - world.now().micros();
        assert!((30_000_000..=60_000_000).contains(&pause), "{pause}");
        assert_eq!(export.delivery_status(), DeliveryStatus::Pending);
        world.pass_seconds(60);
        let export = world.drive(&to, &id, has_tried("bank", 2)).await;
        assert_eq!(attempts(&export, "bank"), (2, Some(DeliveryOutcome::Failed)));
        world.pass_seconds(120);
        let export = world.drive(&to, &id, is_settled).await;
        assert_eq!(attempts(&export, "bank"), (3, Some(DeliveryOutcome::Delivered)));
        assert_eq!(export.delivery_status(), DeliveryStatus::Delivered);
        let seen = bank.seen.lock().unwrap().clone();
        assert_eq!(seen.len(), 3);
        assert!(seen.iter().all(|id| id == delivery.delivery_id.as_str()));
        assert_eq!(world.entries("export.delivery_attempted").await.len(), 3);
    }

    pub async fn a_delivery_that_never_succeeds_is_given_up_and_can_be_asked_for_again(world: World) {
        let bank = Scripted::new(&[Answer::NotNow; 3]);
        let to: To = vec![("bank", bank.clone())];
        let id = ask(&world, &["bank"]).await;
        let driver = world.driver(&to).await;
        let mut going = driver.status();
        let (stop, stopping) = watch::channel(false);
        let driving = tokio::spawn(async move { driver.run(stopping).await.unwrap() });
        for count in 1..=3 {
            world.wait_for(&id, has_tried("bank", count)).await;
            world.pass_seconds(3_600);
        }
        going.wait_for(|status| status.dead_letters == 1).await.unwrap();
        let export = world.export(&id).await;
        assert_eq!(export.delivery_status(), DeliveryStatus::Failed);
        assert_eq!(export.deliveries()[0].detail.as_ref().unwrap().as_str(), "not now");
        going.wait_for(|status| status.unfinished == 0).await.unwrap();
        let again = ExportCommand::ScheduleDelivery {
            delivery_id: DeliveryId::parse("", "dlv_again").unwrap(),
            destination: destination("bank"),
            why: DeliveryCause::Redeliver,
        };
        world.exports.execute_with_retry(&id, again, context(), 5).await.unwrap();
        let export = world.wait_for(&id, |export| export.delivery_status() == DeliveryStatus::Delivered).await;
        assert_eq!(export.deliveries().len(), 2);
        assert_eq!(bank.seen.lock().unwrap().last().unwrap(), "dlv_again");
        stop.send_replace(true);
        driving.await.unwrap();
    }

    pub async fn what_a_destination_refuses_for_good_is_not_repeated(world: World) {
        let bank = Scripted::new(&[Answer::Never]);
        let to: To = vec![("bank", bank.clone())];
        let id = ask(&world, &["bank"]).await;
        let export = world.drive(&to, &id, is_settled).await;
        assert_eq!(attempts(&export, "bank"), (1, Some(DeliveryOutcome::Dead)));
    }

    pub async fn a_destination_that_fails_holds_up_no_other(world: World) {
        let (bank, archive) = (Scripted::new(&[Answer::NotNow; 3]), Scripted::new(&[]));
        let to: To = vec![("bank", bank.clone()), ("archive", archive.clone())];
        let id = ask(&world, &["bank", "archive"]).await;
        let export = world.drive(&to, &id, has_tried("archive", 1)).await;
        assert_eq!(attempts(&export, "archive"), (1, Some(DeliveryOutcome::Delivered)));
        assert_eq!(export.delivery_status(), DeliveryStatus::Pending);
        assert_eq!(archive.seen.lock().unwrap().len(), 1);
    }

    pub async fn a_destination_that_is_not_configured_is_a_dead_letter(world: World) {
        let id = ask(&world, &["bank"]).await;
        let export = world.drive(&[], &id, is_settled).await;
        assert_eq!(attempts(&export, "bank"), (1, Some(DeliveryOutcome::Dead)));
        assert!(export.deliveries()[0].detail.as_ref().unwrap().as_str().contains("configured"));
    }

    pub async fn a_file_that_was_changed_leaves_not(world: World) {
        let bank = Scripted::new(&[Answer::NotNow]);
        let to: To = vec![("bank", bank.clone())];
        let id = ask(&world, &["bank"]).await;
        let export = world.drive(&to, &id, has_tried("bank", 1)).await;
        let manifest = world.files().path(export.generated().unwrap().manifest.file.as_str()).unwrap();
        let mut bytes = std::fs::read(&manifest).unwrap();
        bytes[10] ^= 1;
        std::fs::write(&manifest, bytes).unwrap();
        world.pass_seconds(60);
        let export = world.drive(&to, &id, is_settled).await;
        assert_eq!(attempts(&export, "bank"), (2, Some(DeliveryOutcome::Dead)));
        assert_eq!(bank.seen.lock().unwrap().len(), 1);
    }
}
