//! Votes that are signed: by a passkey of the voter's, over this vote and no other.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use daybook_domain::approval::{Decision, SignatureAlgorithm, VoteSignature, signed_text};
use daybook_identity::passkeys::{RelyingParty, p256_point, user_handle};
use daybook_identity::vault::NewPasskey;
use daybook_ledger::LedgerId;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use p256::pkcs8::EncodePublicKey as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::authenticator::Authenticator;
use crate::world::{World, ballot, context};

/// Enrols a passkey for Bob; what the vault keeps of it is passed through `kept`.
async fn enrol(world: &World, authenticator: &mut Authenticator, kept: impl FnOnce(Value) -> Value) -> String {
    let party = RelyingParty::of("https://daybook.example").unwrap();
    let handle = user_handle(&LedgerId::main(), "usr_bob");
    let begun = party.begin_registration(handle, "bob@example.com", "Bob", &[]).unwrap();
    let made = party.finish_registration(begun.remembered, authenticator.create(&begun.options)).unwrap();
    let public_key = kept(serde_json::from_str(&made.public_key).unwrap()).to_string();
    let passkey = NewPasskey {
        credential_id: made.credential_id,
        user_id: "usr_bob".to_owned(),
        factor_id: "fac_1".to_owned(),
        public_key: public_key.clone(),
        sign_count: made.sign_count,
    };
    assert!(world.vault.add_passkey(&LedgerId::main(), &passkey, 0).await.unwrap());
    public_key
}

fn spki(key: &VerifyingKey) -> String {
    STANDARD.encode(key.to_public_key_der().unwrap().as_bytes())
}

fn spki_of(public_key: &str) -> String {
    let (x, y) = p256_point(public_key).unwrap().unwrap();
    spki(&VerifyingKey::from_sec1_bytes(&[&[4_u8][..], &x, &y].concat()).unwrap())
}

/// Bob's authenticator asked to sign `text`.
fn asserted(authenticator: &mut Authenticator, public_key: &str, text: &str) -> VoteSignature {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()));
    let answer = authenticator.get(&json!({ "publicKey": { "challenge": challenge } }));
    let field = |name: &str| answer["response"][name].as_str().unwrap().to_owned();
    VoteSignature {
        algorithm: SignatureAlgorithm::Webauthn,
        public_key: spki_of(public_key),
        signature: field("signature"),
        client_data: Some(field("clientDataJSON")),
        authenticator_data: Some(field("authenticatorData")),
        credential_id: answer["id"].as_str().map(str::to_owned),
    }
}

fn plain(key: &SigningKey, text: &str) -> VoteSignature {
    let signature: Signature = key.sign(text.as_bytes());
    VoteSignature {
        algorithm: SignatureAlgorithm::Es256,
        public_key: spki(key.verifying_key()),
        signature: STANDARD.encode(signature.to_der().as_bytes()),
        client_data: None,
        authenticator_data: None,
        credential_id: None,
    }
}

async fn text(world: &World, id: &str, decision: Decision) -> String {
    let approval = world.find(id).await;
    signed_text(approval.id().unwrap(), approval.digest().unwrap(), approval.revision(), decision)
}

/// The code with which Bob's vote for it is refused; `None` where it counts.
async fn outcome(world: &World, id: &str, signature: VoteSignature) -> Option<String> {
    let bob = world.caller("bob").await;
    let mut vote = ballot(Decision::Approve);
    vote.signature = Some(signature);
    let voted = world.approvals.vote(&bob, id, vote, context(&bob)).await;
    voted.err().map(|problem| problem.code().to_owned())
}

fn is(code: &str) -> Option<String> {
    Some(code.to_owned())
}

#[tokio::test]
async fn passkey_signs_this_vote_and_no_other() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let id = world.is_blocked(&ann, world.export("all")).await.approval_id;
    let other = world.is_blocked(&ann, world.export("others")).await.approval_id;
    let mut authenticator = Authenticator::new();
    let key = enrol(&world, &mut authenticator, |kept| kept).await;
    let (vote, against) = (text(&world, &id, Decision::Approve).await, text(&world, &id, Decision::Reject).await);
    let elsewhere = text(&world, &other, Decision::Approve).await;

    for wrong in [&against, &elsewhere] {
        let signature = asserted(&mut authenticator, &key, wrong);
        assert_eq!(outcome(&world, &id, signature).await, is("approval.bad_signature"));
    }
    let good = asserted(&mut authenticator, &key, &vote);
    let mut forged = good.clone();
    forged.authenticator_data = asserted(&mut authenticator, &key, &vote).authenticator_data;
    assert_eq!(outcome(&world, &id, forged).await, is("approval.bad_signature"));
    authenticator.flags = 0;
    let nobody_there = asserted(&mut authenticator, &key, &vote);
    assert_eq!(outcome(&world, &id, nobody_there).await, is("approval.bad_signature"));

    assert_eq!(outcome(&world, &id, good.clone()).await, None);
    assert_eq!(world.find(&id).await.votes()[0].signature, Some(good));
}

#[tokio::test]
async fn key_that_is_not_the_voters_is_refused() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let id = world.is_blocked(&ann, world.export("all")).await.approval_id;
    let vote = text(&world, &id, Decision::Approve).await;
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    assert_eq!(outcome(&world, &id, plain(&key, &vote)).await, is("approval.unknown_key"));
    enrol(&world, &mut Authenticator::new(), |kept| kept).await;
    assert_eq!(outcome(&world, &id, plain(&key, &vote)).await, is("approval.unknown_key"));
}

#[tokio::test]
async fn plain_signature_by_a_registered_key_counts() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let id = world.is_blocked(&ann, world.export("all")).await.approval_id;
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    enrol(&world, &mut Authenticator::new(), |mut kept| {
        let point = key.verifying_key().to_sec1_point(false);
        let coordinates = kept.pointer_mut("/cred/cred/key/EC_EC2").unwrap();
        coordinates["x"] = URL_SAFE_NO_PAD.encode(point.x().unwrap()).into();
        coordinates["y"] = URL_SAFE_NO_PAD.encode(point.y().unwrap()).into();
        kept
    })
    .await;
    let wrong = plain(&key, &text(&world, &id, Decision::Reject).await);
    assert_eq!(outcome(&world, &id, wrong).await, is("approval.bad_signature"));
    let mut unreadable = plain(&key, "anything");
    unreadable.public_key = STANDARD.encode(b"not a key");
    assert_eq!(outcome(&world, &id, unreadable).await, is("approval.bad_signature"));
    let right = plain(&key, &text(&world, &id, Decision::Approve).await);
    assert_eq!(outcome(&world, &id, right).await, None);
}
