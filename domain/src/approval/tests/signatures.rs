//! The shape of a voter's signature, and what is signed.

use super::*;

fn signature() -> VoteSignature {
    VoteSignature {
        algorithm: SignatureAlgorithm::Es256,
        public_key: "MFkw+/==".to_owned(),
        signature: "MEUC_-".to_owned(),
        client_data: None,
        authenticator_data: None,
        credential_id: None,
    }
}

#[test]
fn a_vote_keeps_its_signature_and_what_it_is_about() {
    let story = Story::pending(one_vote());
    let command = ApprovalCommand::Vote {
        voter: admin("usr_a"),
        decision: Decision::Approve,
        reason: Some(reason("Looked at it")),
        on_behalf_of: None,
        revision: Some(1),
        signature: Some(signature()),
        at: at(10),
    };
    let story = story.after(command);
    assert_eq!(story.approval.votes()[0].signature, Some(signature()));
    let Some(ApprovalEvent::Voted(voted)) = story.events.get(2) else { panic!() };
    assert_eq!((&voted.digest, voted.revision, voted.decision()), (&export("USD").digest(), 1, Decision::Approve));
}

#[test]
fn what_is_signed_names_the_request_the_action_the_revision_and_the_vote() {
    let digest = export("USD").digest();
    let text = signed_text(&approval_id(), &digest, 2, Decision::Reject);
    assert_eq!(text, format!("daybook approval vote 1\napr_1\n{digest}\n2\nreject\n"));
}

#[test]
fn a_signature_is_base64_of_a_bounded_length() {
    assert!(signature().check("").is_ok());
    let refused = [
        (VoteSignature { public_key: String::new(), ..signature() }, "/signature/public_key"),
        (VoteSignature { signature: "no base64!".to_owned(), ..signature() }, "/signature/signature"),
        (VoteSignature { signature: "a".repeat(1_025), ..signature() }, "/signature/signature"),
        (VoteSignature { client_data: Some("a".repeat(8_193)), ..signature() }, "/signature/client_data"),
        (VoteSignature { algorithm: SignatureAlgorithm::Webauthn, ..signature() }, "/signature"),
    ];
    for (signature, pointer) in refused {
        assert_eq!(signature.check("/signature").unwrap_err().pointer, pointer);
        let text = serde_json::to_string(&signature).unwrap();
        assert!(serde_json::from_str::<VoteSignature>(&text).is_err());
    }
    let assertion = VoteSignature {
        algorithm: SignatureAlgorithm::Webauthn,
        client_data: Some("e30".to_owned()),
        authenticator_data: Some("AAAA".to_owned()),
        credential_id: Some("AAAA".to_owned()),
        ..signature()
    };
    let text = serde_json::to_string(&assertion).unwrap();
    assert_eq!(serde_json::from_str::<VoteSignature>(&text).unwrap(), assertion);
}

#[test]
fn decisions_are_read_in_either_form_and_written_in_one() {
    for (word, decision) in [
        ("approve", Decision::Approve),
        ("approved", Decision::Approve),
        ("reject", Decision::Reject),
        ("rejected", Decision::Reject),
    ] {
        assert_eq!(Decision::parse("", word).unwrap(), decision);
    }
    assert!(Decision::parse("/decision", "pending").is_err());
    assert_eq!(serde_json::to_string(&Decision::Approve).unwrap(), r#""approve""#);
}
