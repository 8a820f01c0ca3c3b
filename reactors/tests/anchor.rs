//! Anchoring against a time-stamping authority over HTTP that is the `openssl` program.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed unwrap is a failed test")]

#[path = "../../time-stamping/tests/authority/mod.rs"]
mod authority;
mod checkpointed;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use authority::{Authority, Key, openssl_is_here};
use checkpointed::{House, eventually};
use daybook_ledger::{Actor, Append, Draft};
use daybook_reactors::{
    ANCHOR, ANCHORED, AnchorCheck, Anchoring, Anchors, RecordedAnchor, Schedule, TimeStampAuthority, check_anchors,
    status, unschedule,
};
use daybook_time_stamping::verify_token;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

/// What the authority's web server does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Manner {
    Honest,
    /// Answers with what it answered before.
    Replays,
    /// Answers a request for another digest.
    OtherDigest,
    Broken,
    WrongType,
    Endless,
}

struct Tsa {
    authority: Authority,
    manner: Mutex<Manner>,
    answered: Mutex<Vec<Vec<u8>>>,
    url: String,
}

impl Tsa {
    async fn start() -> Arc<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://user:secret@{}/tsa?key=secret", listener.local_addr().unwrap());
        let (manner, answered) = (Mutex::new(Manner::Honest), Mutex::default());
        let tsa = Arc::new(Self { authority: Authority::good(Key::P256), manner, answered, url });
        let data = web::Data::from(Arc::clone(&tsa));
        let server = HttpServer::new(move || App::new().app_data(data.clone()).route("/tsa", web::post().to(answer)))
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap();
        tokio::spawn(server.run());
        tsa
    }

    fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    fn anchors(&self, house: &House) -> Anchors {
        let authority = TimeStampAuthority::new(&self.url, self.authority.roots()).unwrap();
        Anchors::new(house.ledger.clone(), authority).unwrap()
    }
}

async fn answer(tsa: web::Data<Tsa>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let manner = tsa.manner.lock().unwrap().clone();
    let content_type = request.headers().get("content-type").unwrap().to_str().unwrap();
    assert_eq!(content_type, "application/timestamp-query");
    let reply = "application/timestamp-reply";
    match manner {
        Manner::Broken => HttpResponse::ServiceUnavailable().finish(),
        Manner::WrongType => HttpResponse::Ok().content_type("text/html").body("<html>sign in</html>"),
        Manner::Endless => HttpResponse::Ok().content_type(reply).body(vec![0x30; 4 * 1024 * 1024]),
        Manner::Replays => {
            let first = tsa.answered.lock().unwrap()[0].clone();
            HttpResponse::Ok().content_type(reply).body(first)
        }
        Manner::OtherDigest => {
            let other = daybook_time_stamping::request(&[1; 32], 1);
            HttpResponse::Ok().content_type(reply).body(tsa.authority.reply(&other))
        }
        Manner::Honest => {
            let response = tsa.authority.reply(&body);
            tsa.answered.lock().unwrap().push(response.clone());
            HttpResponse::Ok().content_type(reply).body(response)
        }
    }
}

async fn checks(house: &House, roots: &str) -> Vec<AnchorCheck> {
    let mut all = Vec::new();
    check_anchors(house.ledger.reader(), roots, |check| all.push(check)).await.unwrap();
    all
}

#[tokio::test]
async fn newest_checkpoint_gets_one_token_which_the_ledger_keeps() {
    if !openssl_is_here() {
        return;
    }
    let (tsa, mut house) = (Tsa::start().await, House::new().await);
    let anchors = tsa.anchors(&house);
    assert_eq!(anchors.anchor().await.unwrap(), Anchoring::NoCheckpoint);
    let checkpoint = house.checkpoint(3).await;
    let Anchoring::Anchored(anchored) = anchors.anchor().await.unwrap() else { panic!("not anchored") };
    assert_eq!((anchored.size, anchored.stamp.tsa.as_str()), (checkpoint.size, "CN=Example TSA,O=Example"));

    let entries = house.entries_of(ANCHORED).await;
    assert_eq!(entries.len(), 1);
    let (entry, size) = (&entries[0], checkpoint.size);
    assert_eq!((entry.position, entry.stream.to_string().as_str()), (anchored.position, "ledger/main"));
    assert_eq!((&entry.actor, entry.metadata.as_str()), (&Actor::system("sequencer"), "{}"));
    let payload = entry.payload.as_deref().unwrap();
    let beginning =
        format!(r#"{{"size":{size},"root":"{}","checkpoint":"ledger.example/main\n{size}\n"#, checkpoint.root);
    assert!(payload.starts_with(&beginning), "{payload}");
    assert!(!payload.contains("secret"), "{payload}");

    // Independently of the code that recorded it: the token is over the signed text of the note beside it.
    let anchor = RecordedAnchor::of(entry).unwrap().unwrap();
    let text = anchor.checkpoint.split("\n\n").next().unwrap().to_owned() + "\n";
    let token = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &anchor.token).unwrap();
    let digest = Sha256::digest(text.as_bytes()).into();
    assert!(verify_token(&token, &digest, &tsa.authority.roots(), None).is_ok());

    let again = anchors.anchor().await.unwrap();
    assert_eq!(again, Anchoring::AlreadyAnchored { size, position: anchored.position });
    assert_eq!(tsa.answered.lock().unwrap().len(), 1, "nobody is asked twice");

    // An anchor alone is no reason for a checkpoint; what comes after it is anchored anew.
    assert!(house.checkpointer.sign_if_needed().await.unwrap().is_none());
    house.checkpoint(2).await;
    assert!(matches!(anchors.anchor().await.unwrap(), Anchoring::Anchored(_)));
    let checked = checks(&house, &tsa.authority.roots()).await;
    assert!(checked.len() == 2 && checked.iter().all(|check| check.outcome.is_ok()), "{checked:?}");
}

#[tokio::test]
async fn bad_answers_are_refused_and_nothing_is_recorded() {
    if !openssl_is_here() {
        return;
    }
    let (tsa, mut house) = (Tsa::start().await, House::new().await);
    let anchors = tsa.anchors(&house);
    house.checkpoint(1).await;
    anchors.anchor().await.unwrap();
    house.checkpoint(1).await;
    for (manner, why) in [
        (Manner::Replays, "another digest"),
        (Manner::OtherDigest, "another digest"),
        (Manner::Broken, "status 503"),
        (Manner::WrongType, "text/html"),
        (Manner::Endless, "more than"),
    ] {
        tsa.behave(manner.clone());
        let error = anchors.anchor().await.unwrap_err().to_string();
        assert!(error.contains(why), "{manner:?}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
    tsa.behave(Manner::Honest);
    let stranger = Authority::good(Key::P256).roots();
    let strict = TimeStampAuthority::new(&tsa.url, stranger.clone()).unwrap();
    let error = Anchors::new(house.ledger.clone(), strict).unwrap().anchor().await.unwrap_err().to_string();
    assert!(error.contains("none of the given root certificates"), "{error}");
    let nobody = TimeStampAuthority::new("http://127.0.0.1:9/", stranger).unwrap();
    let error = Anchors::new(house.ledger.clone(), nobody).unwrap().anchor().await.unwrap_err().to_string();
    assert!(error.contains("http://127.0.0.1:9/ cannot be asked"), "{error}");
    assert_eq!(house.entries_of(ANCHORED).await.len(), 1);
    assert!(TimeStampAuthority::new("tsa.example", tsa.authority.roots()).is_err());
    assert!(TimeStampAuthority::new(&tsa.url, "no certificate".to_owned()).is_err());
}

#[tokio::test]
async fn two_who_anchor_at_once_record_one_token_while_others_seal() {
    if !openssl_is_here() {
        return;
    }
    let (tsa, mut house) = (Tsa::start().await, House::new().await);
    house.checkpoint(2).await;
    let (one, two) = (tsa.anchors(&house), tsa.anchors(&house));
    let (first, second) = tokio::join!(one.anchor(), two.anchor());
    let outcomes = [first.unwrap(), second.unwrap()];
    let anchored = outcomes.iter().filter(|outcome| matches!(outcome, Anchoring::Anchored(_))).count();
    assert_eq!((anchored, house.entries_of(ANCHORED).await.len()), (1, 1), "{outcomes:?}");

    // Seals go into the same stream: both are decided again, neither is lost.
    for _ in 0..5 {
        house.checkpoint(1).await;
        let anchoring = tokio::spawn({
            let anchors = tsa.anchors(&house);
            async move { anchors.anchor().await }
        });
        house.checkpoint(1).await;
        anchoring.await.unwrap().unwrap();
    }
    let checked = checks(&house, &tsa.authority.roots()).await;
    assert!(checked.len() >= 5 && checked.iter().all(|check| check.outcome.is_ok()), "{checked:?}");
}

async fn forge(house: &House, change: impl Fn(&mut RecordedAnchor)) {
    let entries = house.entries_of(ANCHORED).await;
    let mut anchor = RecordedAnchor::of(&entries[0]).unwrap().unwrap();
    change(&mut anchor);
    let stream = entries[0].stream.clone();
    let version = house.ledger.reader().stream(&stream, 1, 1_000).await.unwrap().last().unwrap().version;
    let append = Append {
        stream,
        expected_version: version,
        events: vec![Draft::new(ANCHORED, 1, serde_json::to_string(&anchor).unwrap())],
        actor: Actor::system("sequencer"),
        metadata: "{}".to_owned(),
        command: None,
    };
    house.ledger.append(append).await.unwrap();
}

#[tokio::test]
async fn forged_anchors_are_found_when_all_are_verified() {
    if !openssl_is_here() {
        return;
    }
    let (tsa, mut house) = (Tsa::start().await, House::new().await);
    house.checkpoint(3).await;
    tsa.anchors(&house).anchor().await.unwrap();
    forge(&house, |anchor| anchor.generated_at = "2020-01-01T00:00:00.000000Z".to_owned()).await;
    forge(&house, |anchor| anchor.size -= 1).await;
    forge(&house, |anchor| anchor.checkpoint = anchor.checkpoint.replace("example/main", "example/other")).await;
    forge(&house, |anchor| anchor.token = "AAAA".to_owned()).await;
    forge(&house, |anchor| anchor.checkpoint = String::new()).await;
    let checked = checks(&house, &tsa.authority.roots()).await;
    let why: Vec<String> = checked.iter().filter_map(|check| check.outcome.clone().err()).collect();
    assert_eq!((checked.len(), why.len(), checked[0].outcome.is_ok()), (6, 5, true), "{why:?}");
    for (why, expected) in
        why.iter().zip(["its token says", "another size", "another digest", "malformed", "not a signed note"])
    {
        assert!(why.contains(expected), "{why} is not about {expected}");
    }
    let stranger = Authority::good(Key::P256).roots();
    assert!(checks(&house, &stranger).await.iter().all(|check| check.outcome.is_err()));
}

#[tokio::test]
async fn schedule_shows_its_failures_and_recovers() {
    if !openssl_is_here() {
        return;
    }
    let (tsa, mut house) = (Tsa::start().await, House::new().await);
    tsa.behave(Manner::Broken);
    let checkpoint = house.checkpoint(1).await;
    let ledger = house.ledger.id().clone();
    let task = Box::new(tsa.anchors(&house));
    let schedule = Schedule::new(task, Duration::from_millis(30), ledger, house.database.clone());
    let seen = schedule.status();
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(schedule.run(stopping));
    let database = &house.database;
    eventually("the failure is in the status", || async {
        let all = status(database).await.unwrap();
        all.iter().any(|one| one.name == "anchor" && one.error.as_deref().is_some_and(|why| why.contains("503")))
    })
    .await;
    assert!(seen.borrow().failures > 0 && seen.borrow().error.is_some());
    tsa.behave(Manner::Honest);
    eventually("the failure is over", || async {
        let all = status(database).await.unwrap();
        all.iter().any(|one| one.name == "anchor" && one.error.is_none() && one.position == checkpoint.size)
    })
    .await;
    assert_eq!((seen.borrow().size, seen.borrow().error.clone()), (checkpoint.size, None));
    stop.send_replace(true);
    tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap();
    assert_eq!(house.entries_of(ANCHORED).await.len(), 1);
    unschedule(database, ANCHOR, house.ledger.id()).await.unwrap();
    assert!(status(database).await.unwrap().is_empty(), "what is not to run is not in the status");
}
