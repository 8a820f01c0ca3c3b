//! From the decision to the file.

use super::on_both_stores;

on_both_stores!(
    an_approved_export_is_made_signed_and_recorded,
    an_export_whose_approval_is_rejected_is_rejected,
    an_export_waits_for_its_approval_however_long_it_takes,
    every_kind_comes_in_every_form,
    filters_and_columns_say_what_is_in_the_file,
    rows_are_those_of_one_moment_and_the_manifest_says_of_which,
    what_cannot_be_made_is_tried_again_and_fails_at_last,
    what_makes_no_sense_fails_at_once,
    progress_is_shown_and_goes,
    a_cancelled_export_leaves_no_file,
    another_approval_than_the_requested_makes_nothing,
    a_holder_that_was_overtaken_records_nothing,
);

mod suite {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use daybook_domain::approval::Decision;
    use daybook_domain::export::{
        ExportCommand, ExportFormat, ExportKind, ExportStatus, GenerationStarted, HexDigest, RejectionCause,
    };
    use daybook_domain::text::ActorId;
    use daybook_exports::{Cell, RowSource};
    use daybook_reactors::status;
    use sqlx::Row as _;
    use tokio::sync::watch;

    use crate::world::{World, context, is_at};

    pub async fn an_approved_export_is_made_signed_and_recorded(world: World) {
        world.record(2_500).await;
        let id = world.ask_and_approve(world.request(ExportKind::Transactions, ExportFormat::Csv)).await;
        let export = world.drive(&[], &id, is_at(ExportStatus::Generated)).await;
        let (generated, approved) = (export.generated().unwrap(), export.approved().unwrap());
        assert_eq!((generated.rows, generated.attempt), (2_500, 1));
        assert_eq!((approved.execution_id.as_str(), approved.approved_by.len()), (id.as_str(), 1));
        let verification = world.verify(&export);
        assert_eq!(verification.findings, []);
        let manifest = verification.manifest.unwrap();
        assert_eq!((manifest.file.rows, manifest.export_id.as_str()), (2_500, id.as_str()));
        assert_eq!(manifest.ledger.range.last, generated.range.last);
        // All that was recorded when it was begun is in it.
        let started = world.entries("export.generation_started").await;
        assert!(generated.range.last >= started[0].position);
        let last = world.ledger.entries(generated.range.last, 1).await.unwrap();
        assert_eq!(generated.range.last_hash.as_str(), last[0].hash.to_string());
        let text = world.content(&export);
        assert_eq!(text.lines().count(), 2_501);
        assert!(
            text.lines()
                .nth(1)
                .unwrap()
                .starts_with("tx-0,0.50,USD,2026-01-05T10:00:00.000000Z,client,completed,ACC-0")
        );
        assert_eq!(world.names().len(), 3, "{:?}", world.names());
        let driver = world.driver(&[]).await;
        assert_eq!(driver.status().borrow().unfinished, 0);
    }

    pub async fn an_export_whose_approval_is_rejected_is_rejected(world: World) {
        let id = world.ask(world.request(ExportKind::Incidents, ExportFormat::Json)).await;
        world.vote(&id, Decision::Reject).await;
        let export = world.drive(&[], &id, is_at(ExportStatus::Rejected)).await;
        assert!(export.approved().is_none());
        let rejected = world.entries("export.rejected").await;
        assert!(rejected[0].payload.as_deref().unwrap().contains(RejectionCause::Rejected.as_str()));
        assert!(world.names().is_empty());
    }

    pub async fn an_export_waits_for_its_approval_however_long_it_takes(world: World) {
        let id = world.ask(world.request(ExportKind::AuditTrail, ExportFormat::Ndjson)).await;
        let driver = world.driver(&[]).await;
        let mut going = driver.status();
        let (stop, stopping) = watch::channel(false);
        let projections = world.projections();
        let folding = {
            let stopping = stopping.clone();
            tokio::spawn(async move { projections.run(stopping).await })
        };
        let driving = tokio::spawn(async move { driver.run(stopping).await.unwrap() });
        going.wait_for(|status| status.is_driving && status.unfinished == 1).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(world.export(&id).await.status(), Some(ExportStatus::Requested));
        world.vote(&id, Decision::Approve).await;
        world.wait_for(&id, is_at(ExportStatus::Generated)).await;
        going.wait_for(|status| status.generated == 1 && status.unfinished == 0).await.unwrap();
        stop.send_replace(true);
        driving.await.unwrap();
        folding.await.unwrap();
    }

    pub async fn every_kind_comes_in_every_form(world: World) {
        world.record(10).await;
        let mut ids = Vec::new();
        for kind in ExportKind::ALL {
            for format in
                ExportFormat::ALL.iter().filter(|format| kind.comes_as(**format) && **format != ExportFormat::Zip)
            {
                ids.push(world.ask_and_approve(world.request(*kind, *format)).await);
            }
        }
        let last = ids.last().unwrap().clone();
        world.drive(&[], &last, is_at(ExportStatus::Generated)).await;
        for id in &ids {
            // Several are worked on beside each other.
            let export = world.drive(&[], id, is_at(ExportStatus::Generated)).await;
            assert_eq!(world.verify(&export).findings, [], "{id}");
            let request = export.request().unwrap();
            let rows = export.generated().unwrap().rows;
            match request.kind {
                ExportKind::Transactions => assert_eq!(rows, 10),
                ExportKind::Entries | ExportKind::AuditTrail => {
                    assert_eq!(rows, export.generated().unwrap().range.last + 1);
                }
                ExportKind::Incidents | ExportKind::Users | ExportKind::AgentActions => assert_eq!(rows, 0),
                ExportKind::EvidencePack => unreachable!("packs are tested by themselves"),
            }
        }
    }

    pub async fn filters_and_columns_say_what_is_in_the_file(world: World) {
        world.record(1_000).await;
        let mut request = world.request(ExportKind::Transactions, ExportFormat::Csv);
        request.filters = BTreeMap::from(
            [
                ("account", "ACC-3"),
                ("min_amount", "500"),
                ("max_amount", "900.50"),
                ("q", "TX-"),
                ("start", "2026-01-05"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        request.columns = vec!["amount".to_owned(), "transaction_id".to_owned()];
        let id = world.ask_and_approve(request).await;
        let export = world.drive(&[], &id, is_at(ExportStatus::Generated)).await;
        let expected: Vec<String> =
            (500..=900).filter(|number| number % 10 == 3).map(|number| format!("{number}.50,tx-{number}")).collect();
        let text = world.content(&export);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "amount,transaction_id");
        assert_eq!(lines[1..], expected);
    }

    pub async fn rows_are_those_of_one_moment_and_the_manifest_says_of_which(world: World) {
        world.record(5_000).await;
        world.projections().catch_up().await.unwrap();
        let request = world.request(ExportKind::Transactions, ExportFormat::Csv);
        let mut reading = world.sources().open(&request, 5_000).await.unwrap();
        let position = reading.position();
        assert_eq!(position, 5_000);
        let first = reading.next().await.unwrap().unwrap();
        assert_eq!(first[0][0], Cell::Text("tx-0".to_owned()));
        // What is recorded and folded while it reads is not in it.
        let more = world.request(ExportKind::AuditTrail, ExportFormat::Csv);
        world.ask(more).await;
        let mut append = world.ledger.entries(0, 1).await.unwrap();
        let payload = append.remove(0).payload.unwrap().replace("tx-0", "late");
        let late = daybook_ledger::Append {
            stream: daybook_ledger::StreamKey::new("transaction", "late").unwrap(),
            expected_version: 0,
            events: vec![daybook_ledger::Draft::new("transaction.recorded", 1, payload)],
            actor: daybook_ledger::Actor::human("usr_1"),
            metadata: "{}".to_owned(),
            command: None,
        };
        world.ledger.append(late).await.unwrap();
        world.projections().catch_up().await.unwrap();
        let mut count = first.len();
        while let Some(rows) = reading.next().await.unwrap() {
            count += rows.len();
        }
        assert_eq!(count, 5_000);
        let mut again = world.sources().open(&request, 5_001).await.unwrap();
        assert!(again.position() > position);
        let mut count = 0;
        while let Some(rows) = again.next().await.unwrap() {
            count += rows.len();
        }
        assert_eq!(count, 5_001);
    }

    pub async fn what_cannot_be_made_is_tried_again_and_fails_at_last(mut world: World) {
        // No projector runs, and so the rows never reach the request.
        world.patience = Duration::from_millis(50);
        world.record(3).await;
        let id = world.ask_and_approve(world.request(ExportKind::Transactions, ExportFormat::Csv)).await;
        let driver = world.driver(&[]).await;
        let going = driver.status();
        let (stop, stopping) = watch::channel(false);
        let driving = tokio::spawn(async move { driver.run(stopping).await.unwrap() });
        for attempt in 1..=3 {
            let has_failed = |export: &daybook_domain::Export| {
                export.last_failure().is_some_and(|failure| failure.attempt == attempt)
            };
            let export = world.wait_for(&id, has_failed).await;
            let failure = export.last_failure().unwrap();
            assert!(failure.why.as_str().contains("transactions"), "{}", failure.why);
            assert_eq!(failure.is_final, attempt == 3);
            if attempt < 3 {
                // Not before its time.
                tokio::time::sleep(Duration::from_millis(100)).await;
                assert_eq!(world.export(&id).await.attempt().unwrap().attempt, attempt);
                world.pass_seconds(if attempt == 1 { 10 } else { 20 });
            }
        }
        assert_eq!(world.export(&id).await.status(), Some(ExportStatus::Failed));
        assert_eq!(going.borrow().generation_failures, 3);
        assert!(world.names().is_empty());
        stop.send_replace(true);
        driving.await.unwrap();
    }

    pub async fn what_makes_no_sense_fails_at_once(world: World) {
        let mut request = world.request(ExportKind::Transactions, ExportFormat::Csv);
        request.columns = vec!["colour".to_owned()];
        let id = world.ask_and_approve(request).await;
        let export = world.drive(&[], &id, is_at(ExportStatus::Failed)).await;
        let failure = export.last_failure().unwrap();
        assert!(failure.attempt == 1 && failure.why.as_str().contains("colour"), "{}", failure.why);
    }

    pub async fn progress_is_shown_and_goes(mut world: World) {
        world.patience = Duration::from_secs(30);
        world.record(10).await;
        let id = world.ask_and_approve(world.request(ExportKind::Transactions, ExportFormat::Csv)).await;
        let driver = world.driver(&[]).await;
        let (stop, stopping) = watch::channel(false);
        let driving = tokio::spawn(async move { driver.run(stopping).await.unwrap() });
        world.wait_for(&id, is_at(ExportStatus::Generating)).await;
        let progress = async {
            loop {
                let sql = "select rows from export_progress where ledger_id = 'main' and export_id = $1";
                let row = sqlx::query(sql).bind(&id).fetch_optional(world.database.readers()).await.unwrap();
                if let Some(row) = row {
                    return row.get::<i64, _>(0);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let rows = tokio::time::timeout(Duration::from_secs(20), progress).await.unwrap();
        assert_eq!(rows, 0, "it waits for the projector");
        world.projections().catch_up().await.unwrap();
        world.wait_for(&id, is_at(ExportStatus::Generated)).await;
        let left: i64 = sqlx::query_scalar("select count(*) from export_progress")
            .fetch_one(world.database.readers())
            .await
            .unwrap();
        assert_eq!(left, 0);
        stop.send_replace(true);
        driving.await.unwrap();
    }

    pub async fn a_cancelled_export_leaves_no_file(mut world: World) {
        world.patience = Duration::from_secs(30);
        let id = world.ask_and_approve(world.request(ExportKind::AuditTrail, ExportFormat::Csv)).await;
        let driver = world.driver(&[]).await;
        let mut going = driver.status();
        let (stop, stopping) = watch::channel(false);
        let driving = tokio::spawn(async move { driver.run(stopping).await.unwrap() });
        world.wait_for(&id, is_at(ExportStatus::Generating)).await;
        let by = ActorId::parse("", "operator").unwrap();
        let cancel = ExportCommand::Cancel { by, reason: None, at: world.now() };
        world.exports.execute_with_retry(&id, cancel, context(), 5).await.unwrap();
        world.projections().catch_up().await.unwrap();
        going.wait_for(|status| status.unfinished == 0).await.unwrap();
        assert_eq!(world.export(&id).await.status(), Some(ExportStatus::Cancelled));
        assert!(world.names().is_empty(), "{:?}", world.names());
        stop.send_replace(true);
        driving.await.unwrap();
    }

    pub async fn another_approval_than_the_requested_makes_nothing(world: World) {
        // Approved was the export of incidents; asked for under that approval is one of entries.
        let incidents = world.request(ExportKind::Incidents, ExportFormat::Csv);
        let other = world.ask_and_approve(incidents.clone()).await;
        let mut entries = world.request(ExportKind::Entries, ExportFormat::Csv);
        entries.approval_id = incidents.approval_id;
        entries.digest = HexDigest::parse("", entries.action().unwrap().digest().as_str()).unwrap();
        let id = entries.export_id.to_string();
        world.exports.execute(&id, ExportCommand::Request(Box::new(entries)), context()).await.unwrap();
        world.drive(&[], &id, is_at(ExportStatus::Rejected)).await;
        let export = world.drive(&[], &other, is_at(ExportStatus::Generated)).await;
        assert_eq!(export.request().unwrap().kind, ExportKind::Incidents);
    }

    pub async fn a_holder_that_was_overtaken_records_nothing(world: World) {
        world.record(3).await;
        world.projections().catch_up().await.unwrap();
        let id = world.ask_and_approve(world.request(ExportKind::Incidents, ExportFormat::Csv)).await;
        let digest = world.export(&id).await.request().unwrap().action().unwrap().digest();
        let approval = id.replace("exp_", "apr_").parse().unwrap();
        // Another process, with a lease of the far future, has approved it and is making it.
        let grant = world.approvals.redeem(&approval, &digest, &id, &context()).await.unwrap();
        let approved = daybook_domain::export::Approved {
            approval_id: approval,
            execution_id: grant.execution_id().clone(),
            policy_version: 0,
            approved_by: Vec::new(),
            broken_glass_by: None,
            at: world.now(),
        };
        world.exports.execute(&id, ExportCommand::Approve(approved), context()).await.unwrap();
        let started = GenerationStarted { attempt: 1, fence: u64::from(u32::MAX), at: world.now() };
        world.exports.execute(&id, ExportCommand::StartGeneration(started), context()).await.unwrap();
        let driver = world.driver(&[]).await;
        let mut going = driver.status();
        let (stop, stopping) = watch::channel(false);
        let driving = tokio::spawn(async move { driver.run(stopping).await.unwrap() });
        let is_told = |error: &String| error.contains("later lease");
        going.wait_for(|status| status.error.as_ref().is_some_and(is_told)).await.unwrap();
        let shown = async {
            loop {
                let all = status(&world.database).await.unwrap();
                if all.iter().any(|reactor| reactor.name == "exports" && reactor.error.is_some()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), shown).await.unwrap();
        let export = world.export(&id).await;
        assert!(export.last_failure().is_none() && export.attempt().unwrap().attempt == 1);
        stop.send_replace(true);
        driving.await.unwrap();
    }
}
