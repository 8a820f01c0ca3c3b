//! A ledger in which things are asked for, agreed to and done, entry by entry.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_domain::approval::Action;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::EncodePublicKey as _;
use serde_json::{Value as Json, json};

use crate::common::START;
use crate::common::image::{PAYLOAD, Value};
use crate::workbench::{Bench, kinds};

/// Time between two entries: long enough for everybody to have seen the one before.
const BETWEEN: i64 = 120_000_000;

/// RFC 3339 of a time in microseconds.
pub fn time(micros: i64) -> String {
    let time = chrono::DateTime::from_timestamp_micros(micros).unwrap();
    time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

pub fn digest_of(action: &Json) -> String {
    let action: Action = serde_json::from_value(action.clone()).unwrap();
    action.digest().to_string()
}

/// Terms with these numbers of votes, one step each, of anybody in the compliance department's role.
pub fn terms(steps: &[u32]) -> Json {
    let steps: Vec<Json> =
        steps.iter().map(|votes| json!({"clauses":[{"votes":votes,"from":[{"role":"compliance"}]}]})).collect();
    json!({"steps":steps,"distinct_persons":true,"decide_within_seconds":259_200,"grant_seconds":86_400,
        "break_glass":{"who":[{"role":"owner"}],"grant_seconds":3_600,"review_within_seconds":259_200}})
}

/// Writes entries one after the other.
pub struct Story {
    pub bench: Bench,
    versions: BTreeMap<(String, String), u64>,
    pub now: i64,
}

impl Story {
    pub async fn new() -> Self {
        let bench = Bench::new().await;
        Self { bench, versions: BTreeMap::new(), now: START + 1_000_000_000 }
    }

    /// Records an entry; its position.
    pub async fn tell(&mut self, stream: (&str, &str), event: &str, payload: Json) -> usize {
        let text = payload.to_string();
        daybook_domain::decode(stream.0, event, 1, &text).unwrap();
        self.tell_text(stream, event, &text).await
    }

    /// The same, whatever it says.
    pub async fn tell_text(&mut self, stream: (&str, &str), event: &str, payload: &str) -> usize {
        let version = self.versions.entry((stream.0.to_owned(), stream.1.to_owned())).or_default();
        let before = *version;
        *version += 1;
        let position = self.bench.size();
        self.bench.record(stream, before, (event, payload), self.now).await;
        self.now += BETWEEN;
        usize::try_from(position).unwrap()
    }

    pub fn at(&self) -> String {
        time(self.now)
    }

    /// Asks for approval and for a decision; the position of the request.
    pub async fn ask(&mut self, id: &str, action: &Json, policy: Json) -> usize {
        let requested = json!({"approval_id":id,"action":action,"digest":digest_of(action),"policy":policy,
            "requester":{"actor":"key_1","person":"usr_ana"},"at":self.at()});
        let position = self.tell(("approval", id), "approval.requested", requested).await;
        let decide_by = time(self.now + 259_200_000_000);
        self.tell(("approval", id), "approval.submitted", json!({"decide_by":decide_by,"at":self.at()})).await;
        position
    }

    pub fn vote_of(&self, who: &str, step: u32, digest: &str) -> Json {
        json!({"revision":1,"digest":digest,"vote":{"actor":who,"person":who,"step":step,"clauses":[1],
            "decision":"approve","at":self.at()}})
    }

    pub async fn vote(&mut self, id: &str, who: &str, step: u32, digest: &str) -> usize {
        let vote = self.vote_of(who, step, digest);
        self.tell(("approval", id), "approval.voted", vote).await
    }

    pub async fn approve(&mut self, id: &str, who: &[&str], digest: &str, version: u64) -> usize {
        let approved = json!({"revision":1,"digest":digest,"policy_version":version,"approved_by":who,
            "grant_expires_at":time(self.now + 86_400_000_000),"at":self.at()});
        self.tell(("approval", id), "approval.approved", approved).await
    }

    pub async fn consume(&mut self, id: &str, execution: &str, digest: &str, version: u64) -> usize {
        let consumed = json!({"execution_id":execution,"by":"system","digest":digest,"policy_version":version,
            "at":self.at()});
        self.tell(("approval", id), "approval.consumed", consumed).await
    }

    /// Asks for an export, which waits for an approval; what is to be approved.
    pub async fn ask_for_export(&mut self, id: &str, approval_id: &str) -> Json {
        let action = json!({"action":"export.transactions","resource_type":"transaction_export","resource_id":id,
            "parameters":{"kind":"transactions","format":"csv","columns":"transaction_id,amount","deliver_to":"archive",
            "collect":"false","filter.currency":"USD"},"summary":"Export transactions as csv"});
        let requested = json!({"export_id":id,"kind":"transactions","format":"csv","filters":{"currency":"USD"},
            "columns":["transaction_id","amount"],"requested_by":"key_1","person":"usr_ana","approval_id":approval_id,
            "deliver_to":["archive"],"digest":digest_of(&action)});
        self.tell(("export", id), "export.requested", requested).await;
        action
    }

    pub async fn let_through(&mut self, id: &str, approval_id: &str, who: &[&str], version: u64) -> usize {
        let approved = json!({"approval_id":approval_id,"execution_id":id,"policy_version":version,"approved_by":who,
            "at":self.at()});
        self.tell(("export", id), "export.approved", approved).await
    }

    /// What the check of approvals says: its part of the evidence, and kinds and positions of its findings.
    pub fn approvals(bench: &Bench) -> (i32, Json, Vec<(String, Option<u64>)>) {
        let (code, evidence) = bench.verify_without_memory(&["--memory", "/nowhere"]);
        let approvals = bench.ledger(&evidence)["approvals"].clone();
        let found = kinds(&approvals["findings"]).into_iter().map(|(kind, position, _)| (kind, position)).collect();
        (code, approvals, found)
    }

    /// Changes a payload, with everything after it made right again.
    pub fn changed(&self, position: usize, from: &str, to: &str) -> Bench {
        let bench = self.bench.copy();
        bench.rewrite(position, |row| {
            let payload = row[PAYLOAD].text().to_owned();
            assert!(payload.contains(from), "{payload}");
            row[PAYLOAD] = Value::Blob(payload.replace(from, to).into_bytes());
        });
        bench
    }
}

/// Positions of one export's life.
pub struct Life {
    pub requested: usize,
    pub voted: usize,
    pub approved: usize,
    pub consumed: usize,
    pub effect: usize,
    pub digest: String,
}

/// An export that was asked for, agreed to by a signed vote, and let through.
pub async fn approved_export(story: &mut Story, export: &str, approval: &str) -> Life {
    let action = story.ask_for_export(export, approval).await;
    let digest = digest_of(&action);
    let requested = story.ask(approval, &action, json!({"version":0,"rule":0,"terms":terms(&[1])})).await;
    let mut vote = story.vote_of("usr_ben", 1, &digest);
    vote["vote"]["signature"] = signature(&format!("daybook approval vote 1\n{approval}\n{digest}\n1\napprove\n"));
    let voted = story.tell(("approval", approval), "approval.voted", vote).await;
    let approved = story.approve(approval, &["usr_ben"], &digest, 0).await;
    let consumed = story.consume(approval, export, &digest, 0).await;
    let effect = story.let_through(export, approval, &["usr_ben"], 0).await;
    Life { requested, voted, approved, consumed, effect, digest }
}

fn signature(text: &str) -> Json {
    let key = SigningKey::from_slice(&[21; 32]).unwrap();
    let signature: p256::ecdsa::Signature = key.sign(text.as_bytes());
    json!({"algorithm":"ES256","public_key":STANDARD.encode(key.verifying_key().to_public_key_der().unwrap()),
        "signature":STANDARD.encode(signature.to_der().as_bytes())})
}
