//! Why a command to a person's account is refused. One variant a rule.

use crate::names::{DepartmentId, RoleName};
use crate::refusal::refusals;
use crate::text::{ActorId, StreamId};

refusals! {
    /// A refusal. Nothing was recorded.
    UserError {
        /// There is no such user.
        #[error("there is no such user")]
        NotFound = "user.not_found", NotFound;
        /// The account is there already.
        #[error("the user is already registered")]
        AlreadyRegistered = "user.already_registered", Exists;
        /// The person was invited and must come with the invitation.
        #[error("the user was invited; the invitation has to be used")]
        InvitationRequired = "user.invitation_required", Rule;
        /// The person comes with an invitation that nobody made.
        #[error("the user was not invited")]
        NotInvited = "user.not_invited", Rule;
        /// The invitation holds no more, or the role that it names.
        #[error("the invitation has expired")]
        InvitationExpired = "user.invitation_expired", Rule;
        /// The person was invited and has not registered yet.
        #[error("the user has not registered yet")]
        NotRegistered = "user.not_registered", Rule;
        /// It is kept out already.
        #[error("the user is already deactivated")]
        AlreadyDeactivated = "user.already_deactivated", Rule;
        /// It is not kept out.
        #[error("the user is already active")]
        AlreadyActive = "user.already_active", Rule;
        /// It is kept out.
        #[error("the user is deactivated; reactivate the account first")]
        Deactivated = "user.deactivated", Rule;
        /// The account is for nobody.
        #[error("the user was erased")]
        Erased = "user.erased", Rule;
        /// People do not lock themselves out.
        #[error("nobody deactivates himself")]
        SelfDeactivation = "user.self_deactivation", Rule;
        /// The sealed values are about somebody else.
        #[error("the sealed values are not about this user")]
        OtherSubject = "user.other_subject", Rule;
        /// A role that nobody can have.
        #[error("the role {role} cannot be granted")]
        RoleNotGrantable {
            /// Which.
            role: RoleName,
        } = "user.role_not_grantable", Rule, "/role";
        /// It owns the organisation or it does not: not a part of it.
        #[error("the role owner is not granted within a department")]
        OwnerWithinDepartment = "user.owner_within_department", Rule, "/department_id";
        /// An organisation must not lose its owner by the passing of time.
        #[error("the role owner does not expire")]
        OwnerExpires = "user.owner_expires", Rule, "/expires_at";
        /// Auditors look for a time.
        #[error("the role auditor needs a time at which it expires, at most {} days ahead", super::MAX_AUDITOR_DAYS)]
        AuditorNeedsExpiry = "user.auditor_needs_expiry", Rule, "/expires_at";
        /// The end is not ahead.
        #[error("the time of expiry is not in the future")]
        ExpiryNotInFuture = "user.expiry_not_in_future", Rule, "/expires_at";
        /// There are too many roles.
        #[error("a user has at most {} roles", super::MAX_GRANTS)]
        TooManyGrants = "user.too_many_grants", Rule;
        /// The person does not have this role there.
        #[error(
            "the user does not have the role {role}{}",
            department_id.as_ref().map(|id| format!(" within {id}")).unwrap_or_default()
        )]
        RoleNotGranted {
            /// Which.
            role: RoleName,
            /// The department; everywhere if none.
            department_id: Option<DepartmentId>,
        } = "user.role_not_granted", Rule, "/role";
        /// There is such a second factor already: this one, or another of which there is only one.
        #[error("the user already has this second factor")]
        SecondFactorExists = "user.second_factor_exists", Rule;
        /// An account is its own person's anyhow.
        #[error("an account is declared to be the person of another account, not of itself")]
        SamePersonAsItself = "user.same_person_as_itself", Rule, "/person";
        /// It was declared to be somebody else's, and that stays.
        #[error("the user was declared to be the same person as {person}")]
        SamePersonDeclared {
            /// Whose.
            person: ActorId,
        } = "user.same_person_declared", Rule, "/person";
        /// There is no such second factor.
        #[error("the user has no second factor {factor_id}")]
        SecondFactorNotFound {
            /// Which.
            factor_id: StreamId,
        } = "user.second_factor_not_found", Rule;
        /// There are too many second factors.
        #[error("a user has at most {} second factors", super::MAX_SECOND_FACTORS)]
        TooManySecondFactors = "user.too_many_second_factors", Rule;
        /// There are too many linked identities.
        #[error("a user has at most {} linked identities", super::MAX_LINKED_IDENTITIES)]
        TooManyLinkedIdentities = "user.too_many_linked_identities", Rule;
    }
}
