//! Secrets that a test has used, and looking for them where they must not be.
//!
//! Every server of a test is watched: a line of its output that holds a secret fails the test, and so does an error that it
//! answers. [`found_in_folder`] looks into what a store leaves behind.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::files::files_below;
use crate::{MASTER_KEY, OPERATOR_TOKEN, people};

static USED: Mutex<Vec<(String, &'static str)>> = Mutex::new(Vec::new());
/// What is shorter occurs by chance.
const SHORTEST: usize = 12;
/// Files that exist to hold a secret, or letters that carry one to a person.
const KEPT_IN: [&str; 4] = ["operator.token", "vault.key", "actor.key", "keys"];
const LETTERS: &str = "mail";

/// Remembers a secret and what it is.
pub fn used(secret: &str, what: &'static str) {
    if secret.len() < SHORTEST {
        return;
    }
    let mut all = USED.lock().unwrap_or_else(PoisonError::into_inner);
    if !all.iter().any(|(known, _)| known == secret) {
        all.push((secret.to_owned(), what));
    }
}

/// What the secret is that occurs in `bytes`, if one does.
pub fn found_in(bytes: &[u8]) -> Option<&'static str> {
    let always =
        [(OPERATOR_TOKEN, "the operator's token"), (MASTER_KEY, "the master key"), (people::PASSWORD, "a password")];
    let occurs = |secret: &str| memchr::memmem::find(bytes, secret.as_bytes()).is_some();
    if let Some((_, what)) = always.into_iter().find(|(secret, _)| occurs(secret)) {
        return Some(what);
    }
    let all = USED.lock().unwrap_or_else(PoisonError::into_inner);
    all.iter().find(|(secret, _)| occurs(secret)).map(|(_, what)| *what)
}

/// Every file below `folder` that holds a secret, and which. Letters count unless `letters` lets them.
pub fn found_in_folder(folder: &Path, letters: bool) -> Vec<String> {
    let is_kept = |path: &Path| {
        let mut names = path.strip_prefix(folder).unwrap_or(path).iter().filter_map(|name| name.to_str());
        names.any(|name| KEPT_IN.contains(&name) || (letters && name == LETTERS))
    };
    let files = files_below(folder).into_iter().filter(|path| !is_kept(path));
    let secret_in = |path: &Path| std::fs::read(path).ok().and_then(|bytes| found_in(&bytes));
    files.filter_map(|path| secret_in(&path).map(|what| format!("{what} in {}", path.display()))).collect()
}
