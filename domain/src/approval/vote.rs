//! Who votes, and what a vote is.
//!
//! Whoever gives a command knows people: which accounts are one person's, which roles they have now, for whom they stand
//! in. That comes with the command as a [`Voter`]; here it is only compared. Persons are compared, never accounts.

use serde::{Deserialize, Serialize};

use super::error::ApprovalError;
use crate::approval_policy::Electorate;
use crate::names::{DelegationId, DepartmentId, RoleName};
use crate::text::{ActorId, InvalidField, Reason};
use crate::time::Timestamp;
use crate::vocabulary::vocabulary;

vocabulary! {
    /// What a vote says.
    Decision {
        /// It may be done.
        Approve = "approve" accept "approved",
        /// It may not be done.
        Reject = "reject" accept "rejected",
    }
}

/// Somebody who wants to vote, as things are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// The account that acts.
    pub actor: ActorId,
    /// The person whose account it is.
    pub person: ActorId,
    /// Every other id under which the person is known, or was before accounts were found to be the same person's. Who
    /// requested or voted under one of them is this person.
    pub accounts: Vec<ActorId>,
    /// Whether a person acts, and not a program.
    pub is_person: bool,
    /// Whether the account may act.
    pub is_active: bool,
    /// The roles that the person has in the whole organisation.
    pub roles: Vec<RoleName>,
    /// The departments within which the person has any role.
    pub departments: Vec<DepartmentId>,
    /// For whom the person may vote now.
    pub stands_for: Vec<Delegator>,
    /// Every id of everybody who gave this person a delegation that held at any time since the request was made.
    pub is_delegate_of: Vec<ActorId>,
    /// Whose doing of late it is that the account may act, and is one of those who are asked.
    pub owed: Owed,
}

/// Whose doing it is that somebody can vote, as far as it was done shortly before the request or since. Whose doing it must
/// not be was looked at by whoever gives the command; it is recorded with the vote, to be looked at again when more is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owed {
    /// That the account is in use.
    pub account: Vec<ActorId>,
    /// That the person is one of these. Who is not named here is so by nobody's doing of late.
    pub seats: Vec<(Electorate, Vec<ActorId>)>,
    /// Of whom the person would be one, were that not the doing of somebody whose doing it must not be.
    pub lost: Vec<LostSeat>,
    /// Whether that is so of the account itself: then nothing that it brings counts.
    pub is_lost: bool,
}

/// What would let somebody vote, and does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostSeat {
    /// Of whom the person would be one.
    pub seat: Electorate,
    /// Whose doing that is.
    pub by: ActorId,
    /// From when on a new request does not look back to it.
    pub settled_at: Timestamp,
}

impl Owed {
    /// To whom it is owed that the person is one of these.
    pub(super) fn for_seat(&self, electorate: &Electorate) -> &[ActorId] {
        let mut seats = self.seats.iter();
        seats.find(|(seat, _)| seat == electorate).map_or(&[], |(_, by)| by.as_slice())
    }

    /// Why somebody has no vote who belongs to none of those who are asked: for want of a seat, or because the one there
    /// would be does not count.
    pub(super) fn without(&self, is_asked: impl Fn(&Electorate) -> bool) -> ApprovalError {
        let lost = self.lost.iter().filter(|lost| is_asked(&lost.seat)).min_by_key(|lost| lost.settled_at);
        lost.map_or(ApprovalError::NotEligible, |lost| ApprovalError::SeatOwedToRequester {
            by: lost.by.clone(),
            settled_at: lost.settled_at,
        })
    }
}

/// Somebody for whom another may vote, as things are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegator {
    /// The delegation.
    pub delegation_id: DelegationId,
    /// The account that gave the delegation.
    pub account: ActorId,
    /// The person whose account that is.
    pub person: ActorId,
    /// Every other id under which the person is known or was.
    pub accounts: Vec<ActorId>,
    /// The roles that the person has in the whole organisation.
    pub roles: Vec<RoleName>,
    /// The departments within which the person has any role.
    pub departments: Vec<DepartmentId>,
    /// Whether the person could not vote either: because that is whoever asks, stands in for whoever asks or did since
    /// the request was made; in a review also because that is whoever broke the glass, or stands or stood in for that
    /// person.
    pub is_barred: bool,
    /// Whose doing of late it is that the account may act, and is one of those who are asked.
    pub owed: Owed,
}

impl Voter {
    /// Whether an id is one of this person's.
    pub fn is(&self, id: &ActorId) -> bool {
        self.person == *id || self.actor == *id || self.accounts.contains(id)
    }

    /// Whether the person is one of these in the person's own right. Who is named is that very account: that another one
    /// was declared the same person's takes votes away and gives none.
    pub fn belongs_to(&self, electorate: &Electorate) -> bool {
        match electorate {
            Electorate::Role(role) => self.roles.contains(role),
            Electorate::Department(department) => self.departments.contains(department),
            Electorate::Person(id) => self.actor == *id,
        }
    }

    /// Whether the person stands in, or stood in since the request was made, for whoever has this id.
    pub fn is_delegate_of(&self, id: &ActorId) -> bool {
        self.is_delegate_of.contains(id) || self.stands_for.iter().any(|delegator| delegator.is(id))
    }
}

impl Delegator {
    /// Whether an id is one of this person's.
    pub fn is(&self, id: &ActorId) -> bool {
        self.person == *id || self.account == *id || self.accounts.contains(id)
    }

    /// Whether the person is one of these. Who is named is the account that gave the delegation and no other.
    pub fn belongs_to(&self, electorate: &Electorate) -> bool {
        match electorate {
            Electorate::Role(role) => self.roles.contains(role),
            Electorate::Department(department) => self.departments.contains(department),
            Electorate::Person(id) => self.account == *id,
        }
    }
}

/// A vote that counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VoteRecord {
    /// The account that voted.
    pub actor: ActorId,
    /// The person who voted.
    pub person: ActorId,
    /// For whom, where it was for another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<ActorId>,
    /// The delegation under which it was for another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation_id: Option<DelegationId>,
    /// The step, counted from 1.
    pub step: u32,
    /// The clauses of the step for which it can count, counted from 1; it counts for one of them.
    pub clauses: Vec<u32>,
    /// What it says.
    pub decision: Decision,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The voter's signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<VoteSignature>,
    /// Whose doing it is that the vote could be cast, as far as that was shortly before the request or since: who gave the
    /// role that it rests on, let the account in, and so on, and who had done the same for them. Accounts, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed_to: Vec<ActorId>,
    /// When.
    pub at: Timestamp,
}

vocabulary! {
    /// How a vote is signed.
    SignatureAlgorithm {
        /// ECDSA on P-256 over the SHA-256 of what is signed; the signature as DER.
        Es256 = "ES256",
        /// The assertion of a passkey whose challenge is the SHA-256 of what is signed.
        Webauthn = "webauthn",
    }
}

/// A voter's own signature over [`signed_text`]. Here it has a shape only; whoever accepts the vote, and whoever audits
/// it, verifies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct VoteSignature {
    /// How it is signed.
    pub algorithm: SignatureAlgorithm,
    /// The public key, a `SubjectPublicKeyInfo` as DER in base64.
    pub public_key: String,
    /// The signature in base64.
    pub signature: String,
    /// What the browser signed, `clientDataJSON` in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_data: Option<String>,
    /// What the authenticator said of itself, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticator_data: Option<String>,
    /// The passkey's id in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<String>,
}

crate::approval_policy::checked_when_read!(VoteSignature);

impl VoteSignature {
    /// Whether every field is base64 and not too long, and an assertion has what belongs to it.
    pub fn check(&self, pointer: &str) -> Result<(), InvalidField> {
        let fields = [
            ("public_key", Some(&self.public_key), 1_024),
            ("signature", Some(&self.signature), 1_024),
            ("client_data", self.client_data.as_ref(), 8_192),
            ("authenticator_data", self.authenticator_data.as_ref(), 8_192),
            ("credential_id", self.credential_id.as_ref(), 2_048),
        ];
        for (field, value, most) in fields {
            let Some(value) = value else { continue };
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=');
            if value.is_empty() || value.len() > most || !value.bytes().all(allowed) {
                return Err(InvalidField::new(
                    format!("{pointer}/{field}"),
                    format!("must be 1 to {most} characters of base64"),
                ));
            }
        }
        let is_assertion = self.algorithm == SignatureAlgorithm::Webauthn;
        if is_assertion && (self.client_data.is_none() || self.authenticator_data.is_none()) {
            return Err(InvalidField::new(pointer, "of a passkey needs client_data and authenticator_data"));
        }
        Ok(())
    }
}

/// What a voter signs: the request, exactly what is to be done, which revision of it, and what the vote says.
pub fn signed_text(
    approval_id: &crate::names::ApprovalId,
    digest: &super::ActionDigest,
    revision: u64,
    decision: Decision,
) -> String {
    format!("daybook approval vote 1\n{approval_id}\n{digest}\n{revision}\n{decision}\n")
}
