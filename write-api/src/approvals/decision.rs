//! The bodies with which people decide, and the votes they come to.

use daybook_approvals::Ballot;
use daybook_domain::approval::{Decision, VoteSignature};
use daybook_domain::text::{ActorId, InvalidField, Reason};
use daybook_http_kit::query::either;
use daybook_http_kit::{Principal, Problem};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::body::required;
use crate::faults::Faults;
use crate::incidents::TextOrNumber;
use crate::problems::invalid;

/// A vote.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalVoteBody)]
pub struct VoteBody {
    /// `approve` or `reject`; `approved` and `rejected` are taken too.
    #[schema(example = "approve")]
    pub decision: String,
    /// Why: at most 2,000 characters.
    pub reason: Option<String>,
    /// Opaque id of the person in whose place the voter votes, under a delegation. Without it the voter votes for
    /// himself where he may, else for whom he stands in.
    pub on_behalf_of: Option<String>,
    /// The revision that the voter has seen. Where the request was changed since, the vote is 409 `approval.revised`.
    #[schema(example = 1)]
    pub revision: Option<u64>,
    /// The vote signed by the voter.
    pub signature: Option<SignatureBody>,
}

/// A signature with a key of the voter's own over five lines, each with a line feed behind it: `daybook approval vote 1`,
/// the request's id, its digest, its revision, and `approve` or `reject`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalVoteSignatureBody)]
pub struct SignatureBody {
    /// `ES256`: ECDSA with P-256 and SHA-256, the signature as DER; `webauthn`: the assertion of a passkey whose challenge is
    /// the SHA-256 of the lines.
    #[schema(example = "ES256")]
    pub algorithm: String,
    /// The public key: SubjectPublicKeyInfo in DER, as base64.
    pub public_key: String,
    /// The signature, as base64.
    pub signature: String,
    /// The assertion's client data, as base64.
    pub client_data: Option<String>,
    /// The assertion's authenticator data, as base64.
    pub authenticator_data: Option<String>,
    /// The id of the credential, where it is a passkey.
    pub credential_id: Option<String>,
}

impl VoteBody {
    pub(super) fn vote(self) -> Result<Ballot, Problem> {
        let mut faults = Faults::default();
        let decision = faults.check(Decision::parse("/decision", &self.decision));
        let reason = faults.check(Reason::parse_optional("/reason", self.reason));
        let on_behalf_of = faults.check(ActorId::parse_optional("/on_behalf_of", self.on_behalf_of));
        let signature = self.signature.map(signature).transpose();
        let signature = faults.check(signature);
        match (decision, reason, on_behalf_of, signature) {
            (Some(decision), Some(reason), Some(on_behalf_of), Some(signature)) => {
                Ok(Ballot { decision, reason, on_behalf_of, revision: self.revision, signature })
            }
            _ => Err(faults.problem()),
        }
    }
}

/// Read as the event's own member is read, so that both have the same bounds.
fn signature(body: SignatureBody) -> Result<VoteSignature, InvalidField> {
    let mut members = serde_json::Map::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value.into());
        }
    };
    put("algorithm", Some(body.algorithm));
    put("public_key", Some(body.public_key));
    put("signature", Some(body.signature));
    put("client_data", body.client_data);
    put("authenticator_data", body.authenticator_data);
    put("credential_id", body.credential_id);
    serde_json::from_value(members.into()).map_err(|error| InvalidField::new("/signature", error.to_string()))
}

/// A decision in a predecessor's words, in the body.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalDecisionBody)]
pub struct DecisionBody {
    /// `approved` or `rejected`; `approve` and `reject` are taken too.
    pub decision: Option<String>,
    /// Why: at most 2,000 characters. Also taken as `reason`.
    #[serde(alias = "reason")]
    pub decision_reason: Option<String>,
}

/// The same as query parameters.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DecisionParameters {
    /// `approved` or `rejected`; in the query or in the body.
    pub decision: Option<String>,
    /// Why; in the query or in the body. Also taken as `reason`.
    #[serde(alias = "reason")]
    pub decision_reason: Option<String>,
}

/// The vote of the two together. `pending` is a word for a request's state and no decision: 422.
pub(super) fn decision(body: DecisionBody, parameters: &DecisionParameters) -> Result<Ballot, Problem> {
    let word = required("decision", either("decision", body.decision, parameters.decision.clone())?)?;
    if word == "pending" || word == "escalated" {
        let detail = format!("{word} is not a decision: approved or rejected are");
        return Err(Problem::refused("approval.not_a_decision", detail).at("/decision", "must be approved or rejected"));
    }
    let reason = either("decision_reason", body.decision_reason, parameters.decision_reason.clone())?;
    let mut faults = Faults::default();
    let decision = faults.check(Decision::parse("/decision", &word));
    let reason = faults.check(Reason::parse_optional("/decision_reason", reason));
    match (decision, reason) {
        (Some(decision), Some(reason)) => {
            Ok(Ballot { decision, reason, on_behalf_of: None, revision: None, signature: None })
        }
        _ => Err(faults.problem()),
    }
}

/// A step of the human in the loop, in the body.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AgentDecisionBody)]
pub struct OperatorBody {
    /// Who decides: the caller's own id, or nothing. Also taken as `approved_by`.
    #[serde(alias = "approved_by")]
    #[schema(value_type = Option<TextOrNumber>)]
    pub operator: Option<TextOrNumber>,
    /// Why: at most 2,000 characters. Also taken as `reason`.
    #[serde(alias = "reason")]
    pub comment: Option<String>,
}

/// The same as query parameters.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OperatorParameters {
    /// Who decides: the caller's own id, or nothing. In the query or in the body; also taken as `approved_by`.
    #[serde(alias = "approved_by")]
    pub operator: Option<String>,
    /// Why; in the query or in the body. Also taken as `reason`.
    #[serde(alias = "reason")]
    pub comment: Option<String>,
}

/// The vote of the two together. Nobody votes as somebody else: 403 `approval.not_the_caller`.
pub(super) fn operators_vote(
    caller: &Principal,
    decision: Decision,
    body: OperatorBody,
    parameters: &OperatorParameters,
) -> Result<Ballot, Problem> {
    let operator = body.operator.map(TextOrNumber::into_text);
    let operator = either("operator", operator, parameters.operator.clone())?;
    if operator.is_some_and(|operator| operator != caller.actor.id.as_str()) {
        let detail = "decisions are the caller's own: operator and approved_by can only name the caller";
        return Err(Problem::new(403, "approval.not_the_caller", detail).at("/operator", "is not the caller"));
    }
    let comment = either("comment", body.comment, parameters.comment.clone())?;
    let reason = Reason::parse_optional("/comment", comment).map_err(invalid)?;
    Ok(Ballot { decision, reason, on_behalf_of: None, revision: None, signature: None })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn body(decision: Option<&str>, reason: Option<&str>) -> DecisionBody {
        DecisionBody { decision: decision.map(str::to_owned), decision_reason: reason.map(str::to_owned) }
    }

    fn parameters(decision: Option<&str>, reason: Option<&str>) -> DecisionParameters {
        DecisionParameters { decision: decision.map(str::to_owned), decision_reason: reason.map(str::to_owned) }
    }

    #[test]
    fn decision_comes_from_either_and_both_must_agree() {
        for (body, parameters) in [
            (body(Some("approved"), Some("fine")), parameters(None, None)),
            (body(None, None), parameters(Some("approve"), Some("fine"))),
            (body(Some("approved"), None), parameters(Some("approved"), Some("fine"))),
        ] {
            let vote = decision(body, &parameters).unwrap();
            assert_eq!(vote.decision, Decision::Approve);
            assert_eq!(vote.reason.unwrap().as_str(), "fine");
        }
        let refusal = decision(body(Some("approved"), None), &parameters(Some("rejected"), None)).unwrap_err();
        assert_eq!((refusal.status(), refusal.code()), (400, "request.contradiction"));
    }

    #[test]
    fn what_is_no_decision_has_a_code() {
        let read = |word| decision(body(word, None), &parameters(None, None)).unwrap_err();
        for (word, status, code) in [
            (Some("pending"), 422, "approval.not_a_decision"),
            (Some("escalated"), 422, "approval.not_a_decision"),
            (Some("maybe"), 400, "request.invalid"),
            (None, 400, "request.invalid"),
        ] {
            let refusal = read(word);
            assert_eq!((refusal.status(), refusal.code()), (status, code), "{word:?}");
            assert_eq!(refusal.errors().first().expect("it names the field").pointer, "/decision");
        }
    }
}
