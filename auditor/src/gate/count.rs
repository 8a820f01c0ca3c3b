//! Counts votes against the steps of a policy, by the auditor's own arithmetic: a maximum matching of votes with the seats
//! that clauses ask for, so that a vote that fits several clauses counts for one.

use super::payloads::{Decision, Step, Terms, Vote};

/// A clause that has too few votes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    /// Counted from 1.
    pub(super) step: u32,
    /// Counted from 1.
    pub(super) clause: u32,
    /// How many votes it asks for.
    pub(super) asked: u32,
    /// How many it has.
    pub(super) counted: u32,
}

/// The first clause of the first step that does not have its votes; none where all have.
pub(super) fn missing(terms: &Terms, votes: &[Vote]) -> Option<Missing> {
    (1..).zip(&terms.steps).find_map(|(number, step)| missing_in(number, step, votes))
}

fn missing_in(number: u32, step: &Step, votes: &[Vote]) -> Option<Missing> {
    let counting: Vec<&Vote> =
        votes.iter().filter(|vote| vote.step == number && vote.decision == Decision::Approve).collect();
    // One seat for each vote that a clause asks for.
    let seats: Vec<u32> = (1..)
        .zip(&step.clauses)
        .flat_map(|(clause, asked)| (0..asked.votes).map(move |_| clause))
        // More seats than there can be votes are not needed to see that some stay empty.
        .take(10_000)
        .collect();
    let mut taken: Vec<Option<usize>> = vec![None; seats.len()];
    for vote in 0..counting.len() {
        let mut tried = vec![false; seats.len()];
        sit(vote, &counting, &seats, &mut taken, &mut tried);
    }
    (1..).zip(&step.clauses).find_map(|(clause, asked)| {
        let of_clause = seats.iter().zip(&taken).filter(|(seat, taken)| **seat == clause && taken.is_some());
        let counted = u32::try_from(of_clause.count()).unwrap_or(u32::MAX);
        (counted < asked.votes).then_some(Missing { step: number, clause, asked: asked.votes, counted })
    })
}

/// Finds a seat for a vote, moving others where they have another one. Depth is bounded by the number of seats.
fn sit(vote: usize, votes: &[&Vote], seats: &[u32], taken: &mut [Option<usize>], tried: &mut [bool]) -> bool {
    for (index, clause) in seats.iter().enumerate() {
        let fits = votes.get(vote).is_some_and(|vote| vote.clauses.contains(clause));
        if !fits || tried.get(index).copied().unwrap_or(true) {
            continue;
        }
        if let Some(tried) = tried.get_mut(index) {
            *tried = true;
        }
        let free = match taken.get(index).copied().flatten() {
            None => true,
            Some(sitting) => sit(sitting, votes, seats, taken, tried),
        };
        if free {
            if let Some(place) = taken.get_mut(index) {
                *place = Some(vote);
            }
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::payloads::Moment;
    use super::*;

    fn terms(clauses: &[u32]) -> Terms {
        let clauses: Vec<String> =
            clauses.iter().map(|votes| format!(r#"{{"votes":{votes},"from":[{{"role":"admin"}}]}}"#)).collect();
        let json = format!(
            r#"{{"steps":[{{"clauses":[{}]}}],"decide_within_seconds":1,"grant_seconds":1}}"#,
            clauses.join(",")
        );
        serde_json::from_str(&json).unwrap()
    }

    fn votes(fits: &[&[u32]]) -> Vec<Vote> {
        let vote = |(number, clauses): (usize, &&[u32])| Vote {
            actor: format!("usr_{number}"),
            person: format!("usr_{number}"),
            on_behalf_of: None,
            delegation_id: None,
            step: 1,
            clauses: clauses.to_vec(),
            decision: Decision::Approve,
            signature: None,
            owed_to: Vec::new(),
            at: Moment(0),
        };
        fits.iter().enumerate().map(vote).collect()
    }

    #[test]
    fn vote_that_fits_several_clauses_counts_for_the_one_that_needs_it() {
        // Greedily the first vote would take the only seat that the second fits.
        assert_eq!(missing(&terms(&[1, 1]), &votes(&[&[1, 2], &[1]])), None);
        assert_eq!(missing(&terms(&[2, 1]), &votes(&[&[1, 2], &[1], &[2, 1]])), None);
    }

    #[test]
    fn one_vote_never_counts_for_two_clauses() {
        let short = missing(&terms(&[1, 1]), &votes(&[&[1, 2]])).unwrap();
        assert_eq!((short.step, short.asked, short.counted), (1, 1, 0));
        assert_eq!(missing(&terms(&[2]), &votes(&[&[1]])).unwrap().counted, 1);
        assert_eq!(missing(&terms(&[1]), &votes(&[&[2]])).unwrap().counted, 0);
    }
}
