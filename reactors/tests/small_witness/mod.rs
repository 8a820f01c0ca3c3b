//! A small witness after C2SP tlog-witness: one state a log, its own check of signature and consistency proof.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed unwrap is a failed test")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daybook_ledger::keys::VerifierKey;
use daybook_ledger::note::{CheckpointBody, SignedNote};
use daybook_reactors::WitnessKey;
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

/// What a witness does with a checkpoint that is in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Honest,
    /// Signs with a key that nobody knows.
    OtherKey,
    /// Says that it signs tomorrow.
    Tomorrow,
    /// Signs another text.
    OtherText,
    /// Answers with what is no signature.
    Nonsense,
    Broken,
}

pub struct SmallWitness {
    name: String,
    secret: SigningKey,
    /// Key of each log it knows, by origin.
    logs: Mutex<HashMap<String, String>>,
    /// Size and root of what it signed last, by origin.
    pub seen: Mutex<HashMap<String, (u64, [u8; 32])>>,
    pub requests: Mutex<Vec<u64>>,
    pub manner: Mutex<Manner>,
    pub url: String,
}

impl SmallWitness {
    pub async fn start(name: &str, seed: u8) -> Arc<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let witness = Arc::new(Self {
            name: name.to_owned(),
            secret: SigningKey::from_bytes(&[seed; 32]),
            logs: Mutex::default(),
            seen: Mutex::default(),
            requests: Mutex::default(),
            manner: Mutex::new(Manner::Honest),
            url: format!("http://{}/prefix/", listener.local_addr().unwrap()),
        });
        let data = web::Data::from(Arc::clone(&witness));
        let server = HttpServer::new(move || {
            App::new().app_data(data.clone()).route("/prefix/add-checkpoint", web::post().to(add_checkpoint))
        });
        tokio::spawn(server.workers(1).disable_signals().listen(listener).unwrap().run());
        witness
    }

    pub fn knows(&self, origin: &str, key: &str) {
        self.logs.lock().unwrap().insert(origin.to_owned(), key.to_owned());
    }

    pub fn key(&self) -> WitnessKey {
        WitnessKey::new(&self.name, self.secret.verifying_key()).unwrap()
    }

    fn sign(&self, body: &str) -> String {
        let manner = *self.manner.lock().unwrap();
        let mut time = u64::try_from(chrono::Utc::now().timestamp()).unwrap();
        let mut secret = self.secret.clone();
        let mut text = body.to_owned();
        match manner {
            Manner::OtherKey => secret = SigningKey::from_bytes(&[99; 32]),
            Manner::Tomorrow => time += 86_400,
            Manner::OtherText => text.push_str("more\n"),
            Manner::Nonsense => return "yes\n".to_owned(),
            Manner::Honest | Manner::Broken => {}
        }
        let signature = secret.sign(format!("cosignature/v1\ntime {time}\n{text}").as_bytes()).to_bytes();
        let id = key_id(&self.name, &self.secret);
        let bytes = [id.as_slice(), &time.to_be_bytes(), &signature].concat();
        // A line of somebody else, which is to be ignored, comes first.
        let stranger = STANDARD.encode([7; 76]);
        format!("\u{2014} stranger {stranger}\n\u{2014} {} {}\n", self.name, STANDARD.encode(bytes))
    }

    fn judge(&self, request: &str) -> HttpResponse {
        let (head, note_text) = request.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let old: u64 = lines.next().unwrap().strip_prefix("old ").unwrap().parse().unwrap();
        self.requests.lock().unwrap().push(old);
        let proof: Vec<[u8; 32]> = lines.map(|line| STANDARD.decode(line).unwrap().try_into().unwrap()).collect();
        let note = SignedNote::parse(note_text).unwrap();
        let body = CheckpointBody::parse(&note.body).unwrap();
        let Some(key) = self.logs.lock().unwrap().get(&body.origin).cloned() else {
            return HttpResponse::NotFound().finish();
        };
        let key: VerifierKey = key.parse().unwrap();
        if !note.signatures.iter().any(|signature| key.verifies(&note.body, signature)) {
            return HttpResponse::Forbidden().finish();
        }
        if old > body.size {
            return HttpResponse::BadRequest().finish();
        }
        let mut seen = self.seen.lock().unwrap();
        let (size, root) = seen.get(&body.origin).copied().unwrap_or((0, [0; 32]));
        if old != size || (size == body.size && size > 0 && root != body.root.0) {
            return HttpResponse::Conflict().content_type("text/x.tlog.size").body(format!("{size}\n"));
        }
        if !extends(size, &root, body.size, &body.root.0, &proof) {
            return HttpResponse::UnprocessableEntity().finish();
        }
        seen.insert(body.origin, (body.size, body.root.0));
        HttpResponse::Ok().body(self.sign(&note.body))
    }
}

async fn add_checkpoint(witness: web::Data<SmallWitness>, body: String) -> HttpResponse {
    if *witness.manner.lock().unwrap() == Manner::Broken {
        return HttpResponse::InternalServerError().finish();
    }
    witness.judge(&body)
}

fn key_id(name: &str, secret: &SigningKey) -> [u8; 4] {
    let digest = Sha256::digest([name.as_bytes(), b"\n\x04", secret.verifying_key().as_bytes()].concat());
    digest[..4].try_into().unwrap()
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::digest([&[1][..], left, right].concat()).into()
}

/// RFC 9162, 2.1.4.2, written from its text.
fn extends(old: u64, old_root: &[u8; 32], new: u64, new_root: &[u8; 32], proof: &[[u8; 32]]) -> bool {
    if old == 0 {
        return proof.is_empty();
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    let mut path = proof.to_vec();
    if old.is_power_of_two() {
        path.insert(0, *old_root);
    }
    let (mut fn_, mut sn) = (old - 1, new - 1);
    while fn_ & 1 == 1 {
        (fn_, sn) = (fn_ >> 1, sn >> 1);
    }
    let Some((first, rest)) = path.split_first() else { return false };
    let (mut fr, mut sr) = (*first, *first);
    for hash in rest {
        if sn == 0 {
            return false;
        }
        if fn_ & 1 == 1 || fn_ == sn {
            (fr, sr) = (node(hash, &fr), node(hash, &sr));
            while fn_ & 1 == 0 && fn_ != 0 {
                (fn_, sn) = (fn_ >> 1, sn >> 1);
            }
        } else {
            sr = node(&sr, hash);
        }
        (fn_, sn) = (fn_ >> 1, sn >> 1);
    }
    fr == *old_root && sr == *new_root && sn == 0
}
