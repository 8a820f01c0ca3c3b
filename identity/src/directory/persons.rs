//! Which person is behind an account. Rules over approvals compare persons, never accounts: whoever has two accounts, or
//! a key beside the account, is one.

use super::fold::mutable;
use super::records::UserStatus;
use super::state::DirectoryState;

/// Id of the actor behind the operator's token: who answers for what no person answers for.
pub const OPERATOR: &str = "operator";

impl DirectoryState {
    /// The person behind an actor: whoever answers for an API key (`operator` where that is the operator), whoever is said
    /// to hold the operator's token, and the one person of all accounts that were declared to be the same person's. Whoever
    /// is not known is himself.
    pub fn person_of<'a>(&'a self, actor: &'a str) -> &'a str {
        let account = match self.api_keys.get(actor) {
            Some(key) => key.accountable.as_deref().unwrap_or(OPERATOR),
            None => actor,
        };
        match self.operator_person.get() {
            Some(person) if account == OPERATOR => self.first_of(person),
            _ => self.first_of(account),
        }
    }

    pub(super) fn set_operator_person(&self, person: &str) {
        if self.operator_person.set(person.into()).is_err() && self.person_of(OPERATOR) != self.first_of(person) {
            tracing::error!(person, "somebody else was said to hold the operator's token before: that stands");
        }
    }

    /// Whether two actors are one person.
    pub fn is_same_person(&self, one: &str, other: &str) -> bool {
        self.person_of(one) == self.person_of(other)
    }

    /// All active accounts of a person, as ids of people.
    pub fn accounts_of<'a>(&'a self, person: &'a str) -> impl Iterator<Item = &'a str> {
        let person = self.person_of(person);
        let active = self.users.values().filter(|user| user.status == UserStatus::Active);
        active.map(|user| user.user_id.as_str()).filter(move |id| self.first_of(id) == person)
    }

    /// Every id that a person has or had: the accounts that were declared to be one person's, whatever became of them.
    pub fn ids_of<'a>(&'a self, person: &'a str) -> Vec<&'a str> {
        let first = self.person_of(person);
        let declared = self.same_persons.keys().map(|id| &**id).filter(|id| self.first_of(id) == first);
        let mut ids: Vec<&str> = std::iter::once(first).chain(declared).collect();
        // What was asked for under this id was theirs as well.
        let is_operator = self.operator_person.get().is_some_and(|id| self.first_of(id) == first);
        for id in is_operator.then_some(OPERATOR).into_iter().chain([person]) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// Follows the declarations to the one account that stands for them all. There are no circles: see
    /// [`Self::declare_same_person`].
    fn first_of<'a>(&'a self, account: &'a str) -> &'a str {
        let mut found = account;
        while let Some(next) = self.same_persons.get(found) {
            found = next;
        }
        found
    }

    /// Takes in that two accounts are one person's. The account that stood for the one, and for all that were one with
    /// it, is led to the one that stands for the other; where that is the same already nothing changes, so that no
    /// declaration closes a circle.
    pub(super) fn declare_same_person(&mut self, account: &str, person: &str) {
        let (from, to) = (self.first_of(account).to_owned(), self.first_of(person).to_owned());
        if from != to {
            mutable(&mut self.same_persons).insert(from.into(), to.into());
        }
    }
}
