//! People in sessions: an access token that is good, in a session that goes on, of a person who is active.

use std::sync::Arc;

use daybook_http_kit::{Principal, Problem, Via};
use daybook_ledger::Actor;

use super::{IdentityService, unavailable};
use crate::directory::UserStatus;
use crate::tokens::{Claims, TokenRefusal};

impl IdentityService {
    pub(super) async fn session(&self, token: &str) -> Result<Principal, Problem> {
        let now = (self.0.clock)();
        let claims = self.0.tokens.verify(token, now).await.map_err(refused)?;
        self.person(&claims, now).map_err(|problem| problem.of_organization(claims.org.clone()))
    }

    fn person(&self, claims: &Claims, now: i64) -> Result<Principal, Problem> {
        let state = self.state_of(&claims.org)?.ok_or_else(|| refused(TokenRefusal::UnknownOrganization))?;
        if state.session_ended(&claims.sid) {
            return Err(refused(TokenRefusal::SessionEnded));
        }
        let known = state.access_of(&claims.sub, now).filter(|user| user.status == UserStatus::Active);
        let user = known.ok_or_else(|| refused(TokenRefusal::UserInactive))?;
        Ok(Principal {
            actor: Actor::human(claims.sub.as_str()),
            organization: claims.org.clone(),
            roles: Arc::clone(&user.roles),
            access: Arc::clone(&user.access),
            via: Via::Session,
            session_id: Some(claims.sid.clone()),
        })
    }
}

fn refused(refusal: TokenRefusal) -> Problem {
    match refusal {
        TokenRefusal::Unavailable => unavailable(refusal.code(), "the token cannot be checked at the moment"),
        _ => Problem::invalid_token(refusal.code(), refusal.to_string()),
    }
}
