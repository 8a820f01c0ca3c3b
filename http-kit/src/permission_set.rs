//! A set of permissions: one bit for each row of the matrix, so that a request's check is one look at a word.

use std::fmt;

use crate::permission::{MATRIX, Permission};
use crate::role::Role;

/// Permissions there is room for.
const CAPACITY: usize = 128;
const _: () = assert!(MATRIX.len() <= CAPACITY, "PermissionSet has too few bits for the matrix");

/// Verbs of the scope `read`.
const READING_VERBS: [&str; 4] = ["read", "list", "verify", "metrics_read"];
/// What the scope `write` adds to `read`: work on records, and to ask for what others decide. It administers nothing and
/// decides nothing.
const WORKING: [&str; 10] = [
    "transaction:create",
    "transaction:update",
    "incident:write",
    "compliance:resolve",
    "compliance:export",
    "agent:triage",
    "model:drift_check",
    "explain:batch",
    "approval:request",
    "export:request",
];

/// A set of permissions. Copying it is copying sixteen bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct PermissionSet(u128);

/// A scope that is neither a permission's name nor `read`, `write` or `admin`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a scope")]
pub struct UnknownScope(pub String);

impl PermissionSet {
    /// None.
    pub const EMPTY: Self = Self(0);

    /// Every permission, as the operator has them.
    pub const fn all() -> Self {
        Self::of_role(Role::Operator)
    }

    /// What a built-in role permits.
    pub const fn of_role(role: Role) -> Self {
        let mut bits = 0;
        let mut index = 0;
        let mut rest = MATRIX;
        while let [row, others @ ..] = rest {
            if role.is_among(row.holders) {
                bits |= 1 << index;
            }
            index += 1;
            rest = others;
        }
        Self(bits)
    }

    /// The permissions of these names. Names that are not in the matrix are left out.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut set = Self::EMPTY;
        for name in names {
            set.insert(name);
        }
        set
    }

    /// What an API key with these scopes may do. A scope is a permission's name; `read`: everything that reads;
    /// `write`: that, and to work on records; `admin`: what an administrator may do. Permissions that only the operator
    /// has are no scopes.
    pub fn from_scopes<S: AsRef<str>>(scopes: &[S]) -> Result<Self, UnknownScope> {
        let reading = || Self::from_names(MATRIX.iter().map(|row| row.name).filter(|name| reads(name)));
        let mut set = Self::EMPTY;
        for scope in scopes {
            match scope.as_ref() {
                "read" => set = set.union(&reading()),
                "write" => set = set.union(&reading()).union(&Self::from_names(WORKING)),
                "admin" => set = set.union(&Self::of_role(Role::Admin)),
                name if Self::of_role(Role::Owner).contains_name(name) => {
                    set.insert(name);
                }
                unknown => return Err(UnknownScope(unknown.to_owned())),
            }
        }
        Ok(set)
    }

    /// Adds the permission of this name; false where there is none of that name.
    pub fn insert(&mut self, name: &str) -> bool {
        let Some(index) = MATRIX.iter().position(|row| row.name == name) else { return false };
        self.0 |= 1 << index;
        true
    }

    /// True where `P` is in it.
    pub const fn contains<P: Permission>(&self) -> bool {
        self.0 >> P::INDEX & 1 == 1
    }

    /// True where the permission of this name is in it.
    pub fn contains_name(&self, name: &str) -> bool {
        MATRIX.iter().position(|row| row.name == name).is_some_and(|index| self.0 >> index & 1 == 1)
    }

    /// True where everything in `other` is in it.
    pub const fn contains_all(&self, other: &Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in either.
    #[must_use]
    pub const fn union(&self, other: &Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(&self, other: &Self) -> Self {
        Self(self.0 & other.0)
    }

    /// True where nothing is in it.
    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// How many they are.
    pub const fn len(&self) -> usize {
        self.0.count_ones() as usize
    }

    /// Their names, in the order of the matrix.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let bits = self.0;
        MATRIX.iter().enumerate().filter(move |(index, _)| bits >> index & 1 == 1).map(|(_, row)| row.name)
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.names()).finish()
    }
}

fn reads(name: &str) -> bool {
    name.split_once(':').is_some_and(|(_, verb)| READING_VERBS.contains(&verb))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;
    use crate::permission::{LedgerSeal, TransactionRead};

    #[test]
    fn set_has_what_was_put_in() {
        let mut set = PermissionSet::EMPTY;
        assert!(set.insert("transaction:read") && !set.insert("transaction:invent"));
        assert!(set.contains::<TransactionRead>() && !set.contains::<LedgerSeal>());
        assert_eq!(set.names().collect::<Vec<_>>(), ["transaction:read"]);
        assert_eq!(PermissionSet::all().len(), MATRIX.len());
    }

    #[test]
    fn scopes_are_nested_and_stay_within_an_administrators_permissions() {
        let scope = |name| PermissionSet::from_scopes(&[name]).unwrap();
        assert!(scope("write").contains_all(&scope("read")) && scope("admin").contains_all(&scope("write")));
        assert!(scope("read").names().all(|name| !name.ends_with("write") && !name.ends_with("manage")));
        assert!(!scope("read").contains_name("user:read_contact") && scope("read").contains_name("ledger:verify"));
        assert_eq!(WORKING.iter().filter(|name| !PermissionSet::all().contains_name(name)).count(), 0);
        assert_eq!(scope("incident:write").len(), 1);
    }

    #[test]
    fn operators_permissions_and_unknown_words_are_no_scopes() {
        for word in ["organization:create", "everything", ""] {
            assert_eq!(PermissionSet::from_scopes(&[word]), Err(UnknownScope(word.to_owned())));
        }
    }
}
