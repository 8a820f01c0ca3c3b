//! Organisations that come, go and fail, on the embedded store.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;

use daybook_identity::recorder::Recorder;
use daybook_ledger::sequencer::system_clock;
use daybook_ledger::{Actor, Append, Draft, StreamKey};

use super::*;
use crate::runtime::people::open_vault;
use crate::runtime::store::Location;
use crate::runtime::supervision::Supervision;
use crate::settings::{
    IdentityOptions, OutsideOptions, ServerOptions, ServerSettings, Settings, SigningOptions, StoreOptions,
};

/// How long a ledger may take to be free again.
const PATIENCE: Duration = Duration::from_secs(20);

fn named(id: &str) -> LedgerId {
    id.parse().unwrap()
}

async fn common(folder: &Path, most: u32) -> Common {
    let store = StoreOptions { data: Some(folder.to_owned()), ..StoreOptions::default() };
    let settings = Settings::resolve(store, SigningOptions::default(), None, false).unwrap();
    let identity = IdentityOptions { max_organizations: Some(most), ..IdentityOptions::default() };
    let options = ServerOptions { identity, ..ServerOptions::default() };
    let server = ServerSettings::resolve(options, OutsideOptions::default(), &settings).unwrap();
    let location = Location::of(&settings);
    let deadline = Instant::now() + PATIENCE;
    let store = loop {
        // The one before lets go of the file when its last thread has ended.
        match location.open_for_writing().await {
            Ok(store) => break store,
            Err(error) => assert!(Instant::now() < deadline, "{error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    Common {
        store,
        can_append: true,
        read_tables: location.open_read_tables().await.unwrap(),
        vault: open_vault(&location, folder, None).await.unwrap(),
        recorder: Recorder::new(settings.ledger()),
        telemetry: Telemetry::new().unwrap(),
        supervision: Supervision::default(),
        clock: system_clock(),
        failure: watch::Sender::new(None),
        settings: Arc::new(settings),
        server: Arc::new(server),
    }
}

async fn start(folder: &Path, most: u32) -> Registry {
    Registry::open(common(folder, most).await).await.unwrap()
}

async fn end(registry: Registry) {
    registry.0.common.recorder.shutdown().await;
    registry.stop().await;
    registry.0.common.vault.close().await;
    registry.0.common.read_tables.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn created_organisation_is_open_at_once_and_there_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let registry = start(folder.path(), 8).await;
    let acme = named("acme");
    let identity = registry.create(&acme).await.unwrap();
    assert_eq!(identity.id, acme);
    assert!(registry.queries().get(&acme).is_some() && registry.commands().get(&acme).is_some());
    assert!(registry.directories().get(&acme).is_some());
    assert!(folder.path().join("keys/acme/signing-keys.json").is_file(), "it signs with keys of its own");
    for taken in [&acme, &LedgerId::main()] {
        assert!(matches!(registry.create(taken).await, Err(CreateOrganizationError::Exists)), "{taken}");
    }
    assert_eq!(registry.figures(), RegistryFigures { open: 2, failing: 0, is_vault_failing: false });
    drop(identity);
    end(registry).await;

    let again = start(folder.path(), 8).await;
    assert!(again.identities().get(&acme).is_some());
    end(again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn organisation_outlives_the_thread_that_created_it() {
    let folder = tempfile::tempdir().unwrap();
    let registry = start(folder.path(), 8).await;
    let creating = registry.clone();
    // As a thread that answers requests does: with a runtime of its own, which ends.
    let created = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { creating.create(&named("acme")).await.map(|identity| identity.ledger.clone()) })
    });
    let ledger = tokio::task::spawn_blocking(move || created.join().unwrap()).await.unwrap().unwrap();
    let append = Append {
        stream: StreamKey::new("test", "one").unwrap(),
        expected_version: 0,
        events: vec![Draft::new("test.happened", 1, "{}".to_owned())],
        actor: Actor::system("test"),
        metadata: "{}".to_owned(),
        command: None,
    };
    assert_eq!(ledger.append(append).await.unwrap().receipt.position, 0);
    drop(ledger);
    end(registry).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn organisations_that_others_add_and_close_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let registry = start(folder.path(), 8).await;
    let (acme, vault) = (named("acme"), registry.0.common.vault.clone());
    vault.add_organization(&acme, 0).await.unwrap();
    registry.follow_vault().await.unwrap();
    assert!(registry.identities().get(&acme).is_some());
    vault.set_organization_status(&acme, OrganizationStatus::Closed).await.unwrap();
    vault.set_organization_status(&LedgerId::main(), OrganizationStatus::Closed).await.unwrap();
    registry.follow_vault().await.unwrap();
    assert!(registry.identities().get(&acme).is_none() && registry.queries().get(&acme).is_none());
    assert!(registry.identities().get(&LedgerId::main()).is_some(), "the named one is always there");
    vault.set_organization_status(&acme, OrganizationStatus::Active).await.unwrap();
    registry.follow_vault().await.unwrap();
    assert!(registry.identities().get(&acme).is_some());
    end(registry).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_be_opened_keeps_nobody_else_from_work() {
    let folder = tempfile::tempdir().unwrap();
    let registry = start(folder.path(), 8).await;
    std::fs::write(folder.path().join("keys/broken"), "not a folder").unwrap();
    let (broken, sound) = (named("broken"), named("sound"));
    for id in [&broken, &sound] {
        registry.0.common.vault.add_organization(id, 0).await.unwrap();
    }
    registry.follow_vault().await.unwrap();
    assert!(registry.identities().get(&sound).is_some() && registry.identities().get(&broken).is_none());
    assert_eq!(registry.figures(), RegistryFigures { open: 2, failing: 1, is_vault_failing: false });
    assert!(registry.identities().is_unavailable(&broken) && registry.directories().is_unavailable(&broken));
    assert!(!registry.identities().is_unavailable(&sound) && !registry.identities().is_unavailable(&named("nowhere")));
    std::fs::remove_file(folder.path().join("keys/broken")).unwrap();
    locked(&registry.0.failing).get_mut(&broken).unwrap().again_at = Instant::now();
    registry.follow_vault().await.unwrap();
    assert_eq!(registry.figures(), RegistryFigures { open: 3, failing: 0, is_vault_failing: false });
    end(registry).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_are_opened_than_the_settings_allow() {
    let folder = tempfile::tempdir().unwrap();
    let registry = start(folder.path(), 1).await;
    assert!(matches!(registry.create(&named("acme")).await, Err(CreateOrganizationError::TooMany)));
    registry.0.common.vault.add_organization(&named("acme"), 0).await.unwrap();
    registry.follow_vault().await.unwrap();
    assert_eq!(registry.figures(), RegistryFigures { open: 1, failing: 1, is_vault_failing: false });
    assert!(registry.identities().is_unavailable(&named("acme")));
    end(registry).await;
}
