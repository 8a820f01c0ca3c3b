//! Files go when their time is over, and not while anything keeps them.

use super::on_both_stores;

on_both_stores!(
    a_file_goes_when_its_days_are_over_and_not_before,
    files_from_before_the_setting_go_as_well,
    a_file_stays_while_any_hold_covers_it,
    a_file_stays_until_the_rule_about_exports_lets_go_of_it,
);

mod suite {
    use std::time::Duration;

    use daybook_domain::export::{ExportFormat, ExportKind, ExportStatus};
    use daybook_ledger::{Actor, Append, Draft, StreamKey};
    use serde_json::{Value, json};
    use tokio::sync::watch;

    use crate::world::{World, is_at};

    const DAY: i64 = 86_400;

    async fn says(world: &World, stream: (&str, &str), version: u64, event: &str, payload: Value) {
        let append = Append {
            stream: StreamKey::new(stream.0, stream.1).unwrap(),
            expected_version: version,
            events: vec![Draft::new(event, 1, payload.to_string())],
            actor: Actor::human("usr_9"),
            metadata: "{}".to_owned(),
            command: None,
        };
        world.ledger.append(append).await.unwrap();
    }

    async fn hold(world: &World, id: &str, export: &str) {
        let covers = json!([{"kind": "stream", "stream_type": "export", "stream_id": export}]);
        let placed = json!({"hold_id": id, "matter": "M", "reason": "Dispute", "covers": covers});
        says(world, ("legal_hold", id), 0, "legal_hold.placed", placed).await;
    }

    async fn release(world: &World, id: &str) {
        says(world, ("legal_hold", id), 1, "legal_hold.released", json!({"reason": "Settled"})).await;
    }

    async fn made(world: &World) -> String {
        let id = world.ask_and_approve(world.request(ExportKind::Incidents, ExportFormat::Csv)).await;
        world.drive(&[], &id, is_at(ExportStatus::Generated)).await;
        id
    }

    async fn gone(world: &World) {
        let gone = async {
            while !world.names().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(40), gone).await.expect("nothing is left");
    }

    pub async fn a_file_goes_when_its_days_are_over_and_not_before(mut world: World) {
        world.settings.keep_files_days = Some(30);
        let id = world.ask_and_approve(world.request(ExportKind::Incidents, ExportFormat::Csv)).await;
        let driver = world.driver(&[]).await;
        let mut going = driver.status();
        let (stop, stopping) = watch::channel(false);
        let (projections, folding) = (world.projections(), stopping.clone());
        let folding = tokio::spawn(async move { projections.run(folding).await });
        let driving = tokio::spawn(async move { driver.run(stopping).await.unwrap() });
        // Nothing is left to do with it but this.
        going.wait_for(|status| status.generated == 1 && status.unfinished == 0).await.unwrap();
        assert_eq!(world.names().len(), 3);
        world.pass_seconds(30 * DAY - 3_600);
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        assert_eq!(world.export(&id).await.status(), Some(ExportStatus::Generated));
        world.pass_seconds(2 * 3_600);
        world.wait_for(&id, is_at(ExportStatus::Removed)).await;
        // Leases end by this clock as well: a driver that has lost its own may leave the files to the next, and counts nothing.
        gone(&world).await;
        stop.send_replace(true);
        driving.await.unwrap();
        folding.await.unwrap();
        let removed = world.entries("export.removed").await;
        assert_eq!((removed.len(), removed[0].actor.clone()), (1, Actor::system("exports")));
        let payload: Value = serde_json::from_str(removed[0].payload.as_deref().unwrap()).unwrap();
        assert_eq!(
            (&payload["by"], &payload["why"]),
            (&json!("exports"), &json!("files of exports are kept for 30 days"))
        );
    }

    pub async fn files_from_before_the_setting_go_as_well(mut world: World) {
        let (first, second) = (made(&world).await, made(&world).await);
        world.pass_seconds(400 * DAY);
        // Without the setting nothing goes, however old it is; another export is made meanwhile.
        let third = made(&world).await;
        assert_eq!(world.entries("export.removed").await.len(), 0);
        world.settings.keep_files_days = Some(30);
        world.drive(&[], &first, is_at(ExportStatus::Removed)).await;
        world.drive(&[], &second, is_at(ExportStatus::Removed)).await;
        assert_eq!(world.export(&third).await.status(), Some(ExportStatus::Generated));
        // Taken back and said again.
        world.settings.keep_files_days = None;
        let fourth = made(&world).await;
        world.settings.keep_files_days = Some(1);
        world.pass_seconds(2 * DAY);
        world.drive(&[], &fourth, is_at(ExportStatus::Removed)).await;
        world.pass_seconds(29 * DAY);
        world.drive(&[], &third, is_at(ExportStatus::Removed)).await;
        // The driver may have ended between the entry and the file. Whoever drives next removes what is left.
        let driver = world.driver(&[]).await;
        let (stop, stopping) = watch::channel(false);
        let driving = tokio::spawn(async move { driver.run(stopping).await.unwrap() });
        gone(&world).await;
        stop.send_replace(true);
        driving.await.unwrap();
    }

    pub async fn a_file_stays_while_any_hold_covers_it(mut world: World) {
        world.settings.keep_files_days = Some(30);
        let (held, free) = (made(&world).await, made(&world).await);
        hold(&world, "hld_1", &held).await;
        hold(&world, "hld_2", &held).await;
        world.pass_seconds(31 * DAY);
        let driver = world.driver(&[]).await;
        let (stop, stopping) = watch::channel(false);
        let driving = tokio::spawn(async move { driver.run(stopping).await.unwrap() });
        world.wait_for(&free, is_at(ExportStatus::Removed)).await;
        release(&world, "hld_1").await;
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        assert_eq!(world.export(&held).await.status(), Some(ExportStatus::Generated));
        assert_eq!(world.names().len(), 3);
        // It goes as soon as the last of them is released, without anybody asking.
        release(&world, "hld_2").await;
        world.wait_for(&held, is_at(ExportStatus::Removed)).await;
        stop.send_replace(true);
        driving.await.unwrap();
    }

    pub async fn a_file_stays_until_the_rule_about_exports_lets_go_of_it(mut world: World) {
        world.settings.keep_files_days = Some(30);
        let id = made(&world).await;
        let rule = json!({"record_type": "export", "version": 1, "class": "three_years", "years": 3,
            "keeps_identities": false, "by": "usr_9", "reason": "17a-4(b)", "approval_id": "apr_90"});
        says(&world, ("retention_rule", "export"), 0, "retention_rule.set", rule).await;
        let driver = world.driver(&[]).await;
        let (stop, stopping) = watch::channel(false);
        let driving = tokio::spawn(async move { driver.run(stopping).await.unwrap() });
        for days in [31, 3 * 365 - 33] {
            world.pass_seconds(days * DAY);
            tokio::time::sleep(Duration::from_millis(1_300)).await;
            assert_eq!(world.export(&id).await.status(), Some(ExportStatus::Generated), "{days}");
        }
        world.pass_seconds(5 * DAY);
        world.wait_for(&id, is_at(ExportStatus::Removed)).await;
        stop.send_replace(true);
        driving.await.unwrap();
    }
}
