//! What never happens: the requester votes, under no role, delegation, key or second account; and why somebody cannot decide
//! is said beforehand in the same words.

use daybook_approvals::NewDelegation;
use daybook_domain::Timestamp;
use daybook_domain::approval::{ApprovalStatus, Decision};
use daybook_domain::text::{ActorId, Paragraph, RemarkId};

use crate::world::{HOUR, World, ballot, context, steps, why};

fn actor(name: &str) -> ActorId {
    ActorId::parse("", format!("usr_{name}")).unwrap()
}

fn refused(code: &str) -> (u16, String) {
    (403, code.to_owned())
}

#[tokio::test]
async fn requester_cannot_vote_even_as_admin_or_owner() {
    let world = World::new().await;
    for name in ["ada", "olga"] {
        let caller = world.caller(name).await;
        let blocked = world.is_blocked(&caller, world.export(name)).await;
        assert_eq!(world.refusal(&caller, &blocked.approval_id).await, refused("approval.self_approval"));
    }
}

#[tokio::test]
async fn requester_cannot_vote_by_a_delegate_nor_for_a_delegator() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    let id = blocked.approval_id.as_str();
    // Bob stands in for the requester: he may not vote at all, not in his own right either, nor when it is over.
    world.delegates("ann", "bob").await;
    let bob = world.caller("bob").await;
    assert_eq!(world.refusal(&bob, id).await, refused("approval.delegate_of_requester"));
    world.wait(25 * HOUR);
    assert_eq!(world.refusal(&bob, id).await, refused("approval.delegate_of_requester"));
    // The requester stands in for somebody who may.
    world.delegates("cora", "ann").await;
    let mut vote = ballot(Decision::Approve);
    vote.on_behalf_of = Some(actor("cora"));
    let problem = world.approvals.vote(&ann, id, vote, context(&ann)).await.unwrap_err();
    assert_eq!(problem.code(), "approval.self_approval");
}

#[tokio::test]
async fn requester_cannot_vote_by_a_second_account_whenever_it_was_declared() {
    let world = World::new().await;
    world.person("ann2", "admin").await;
    world.same_person("ann2", "ann").await;
    let (ann, second) = (world.caller("ann").await, world.caller("ann2").await);
    let by_first = world.is_blocked(&ann, world.export("one")).await;
    assert_eq!(world.refusal(&second, &by_first.approval_id).await, refused("approval.self_approval"));
    let by_second = world.is_blocked(&second, world.export("two")).await;
    assert_eq!(world.refusal(&ann, &by_second.approval_id).await, refused("approval.self_approval"));
    // The same request from the other account is another: what one account asked for the other does not use.
    assert_ne!(world.is_blocked(&second, world.export("one")).await.approval_id, by_first.approval_id);

    let bob = world.caller("bob").await;
    let by_bob = world.is_blocked(&bob, world.export("three")).await;
    world.person("bob2", "admin").await;
    world.same_person("bob", "bob2").await;
    let bob2 = world.caller("bob2").await;
    assert_eq!(world.refusal(&bob2, &by_bob.approval_id).await, refused("approval.self_approval"));
    assert_eq!(world.refusal(&bob, &by_bob.approval_id).await, refused("approval.self_approval"));
    // What was asked for before is the account's that asked.
    let problem = world.approvals.withdraw(&bob2, &by_bob.approval_id, None, context(&bob2)).await.unwrap_err();
    assert_eq!((problem.status(), problem.code()), (403, "approval.not_yours"));
    world.approvals.withdraw(&bob, &by_bob.approval_id, None, context(&bob)).await.unwrap();
}

#[tokio::test]
async fn requester_cannot_vote_by_key_nor_for_a_request_of_their_key() {
    let world = World::new().await;
    let key = world.key_of("ada").await;
    let ann = world.caller("ann").await;
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    assert_eq!(world.refusal(&key, &blocked.approval_id).await, refused("approval.person_required"));
    let operator = world.operator();
    assert_eq!(world.refusal(&operator, &blocked.approval_id).await, refused("approval.person_required"));
    let by_key = world.is_blocked(&key, world.export("keys")).await;
    let ada = world.caller("ada").await;
    assert_eq!(world.refusal(&ada, &by_key.approval_id).await, refused("approval.self_approval"));
}

#[tokio::test]
async fn delegate_votes_once_and_uses_up_both() {
    let world = World::new().await;
    world.policy("export.transactions", 1, steps(&[&["compliance"], &["admin", "compliance"]])).await;
    world.delegates("cora", "vic").await;
    let ann = world.caller("ann").await;
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    let id = blocked.approval_id.as_str();
    let (ada, vic, cora) = (world.caller("ada").await, world.caller("vic").await, world.caller("cora").await);
    let early = world.votes(&ada, id, Decision::Approve).await.unwrap_err();
    assert_eq!((early.status(), early.code()), (403, "approval.not_your_turn"));
    let item = world.approvals.inbox(&vic, false).unwrap().remove(0);
    assert_eq!(item.eligible.unwrap().stands_for, Some(actor("cora")));
    let voted = world.votes(&vic, id, Decision::Approve).await.unwrap();
    assert_eq!(voted.aggregate.votes()[0].on_behalf_of, Some(actor("cora")));
    for caller in [&vic, &cora] {
        let again = world.votes(caller, id, Decision::Approve).await.unwrap_err();
        assert_eq!((again.status(), again.code()), (409, "approval.already_voted"));
    }
    world.votes(&ada, id, Decision::Approve).await.unwrap();
    assert_eq!(world.find(id).await.status(), Some(ApprovalStatus::Approved));
}

#[tokio::test]
async fn inbox_says_what_the_caller_can_decide_and_why_not_the_rest() {
    let world = World::new().await;
    world.policy("export.incidents", 1, steps(&[&["compliance"]])).await;
    let (ann, bob) = (world.caller("ann").await, world.caller("bob").await);
    let first = world.is_blocked(&ann, world.export("first")).await;
    world.wait(HOUR);
    let second = world.is_blocked(&ann, world.export("second")).await;
    let own = world.is_blocked(&bob, world.export("own")).await;
    let other = crate::world::gated("export.incidents", "all", "exp_1");
    let other = world.is_blocked(&ann, other).await;
    world.approvals.draft(&ann, world.export("draft"), context(&ann)).await.unwrap();

    let mine = world.approvals.inbox(&bob, false).unwrap();
    let ids: Vec<&str> = mine.iter().map(|item| item.record.approval_id.as_str()).collect();
    assert_eq!(ids, [first.approval_id.as_str(), second.approval_id.as_str()]);
    let all = world.approvals.inbox(&bob, true).unwrap();
    let why_not = |id: &str| {
        let item = all.iter().find(|item| item.record.approval_id == id).unwrap();
        item.eligible.as_ref().unwrap_err().code
    };
    assert_eq!(all.len(), 4);
    assert_eq!(why_not(&own.approval_id), "approval.self_approval");
    assert_eq!(why_not(&other.approval_id), "approval.not_eligible");
}

#[tokio::test]
async fn revision_voids_votes_and_a_vote_for_the_old_one_is_refused() {
    let world = World::new().await;
    world.policy("export.transactions", 1, steps(&[&["analyst"], &["admin"]])).await;
    let (ann, bob) = (world.caller("ann").await, world.caller("bob").await);
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    let id = blocked.approval_id.as_str();
    world.approves("bob", id).await;
    let other = crate::world::action("export.transactions", "others");
    let problem = world.approvals.revise(&bob, id, other.clone(), None, context(&bob)).await.unwrap_err();
    assert_eq!(problem.code(), "approval.not_yours");
    let revised = world.approvals.revise(&ann, id, other, None, context(&ann)).await.unwrap();
    assert!(revised.aggregate.votes().is_empty() && revised.aggregate.revision() == 2);
    let mut vote = ballot(Decision::Approve);
    vote.revision = Some(1);
    let problem = world.approvals.vote(&bob, id, vote, context(&bob)).await.unwrap_err();
    assert_eq!((problem.status(), problem.code()), (409, "approval.revised"));
    // The old attempt finds nothing any more; the new one waits.
    assert_ne!(world.is_blocked(&ann, world.export("all")).await.approval_id, id);
    assert_eq!(world.is_blocked(&ann, world.export("others")).await.approval_id, id);
}

#[tokio::test]
async fn comments_of_people_are_sealed() {
    let world = World::new().await;
    let (ann, bob) = (world.caller("ann").await, world.caller("bob").await);
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    let text = Paragraph::parse("", "Ask Miriam in Basel first.").unwrap();
    let comment_id = RemarkId::parse("", "cmt_1").unwrap();
    let id = blocked.approval_id.as_str();
    world.approvals.comment(&bob, id, comment_id, text, context(&bob)).await.unwrap();
    let stream = daybook_ledger::StreamKey::new("approval", id).unwrap();
    let entry = world.ledger.stream(&stream, 0, 100).await.unwrap().pop().unwrap();
    let payload = entry.payload.unwrap();
    let payload = String::from_utf8_lossy(payload.as_ref()).into_owned();
    assert!(payload.contains("dbs1.") && !payload.contains("Miriam"), "{payload}");
}

#[tokio::test]
async fn only_the_absent_make_somebody_their_stand_in_who_accepts_it() {
    let world = World::new().await;
    let (ada, bob, ben) = (world.caller("ada").await, world.caller("bob").await, world.caller("ben").await);
    let day = Timestamp::from_micros(world.now() + 24 * HOUR).unwrap();
    let new = |from: Option<&str>, to: &str| NewDelegation {
        from: from.map(actor),
        to: actor(to),
        starts_at: None,
        ends_at: day,
        actions: Vec::new(),
        reason: None,
    };
    let operator = world.operator();
    let code = |result: Result<_, daybook_http_kit::Problem>| {
        result.map(|_: daybook_ledger::commands::Outcome<daybook_domain::Delegation>| ()).unwrap_err().code().to_owned()
    };
    let give = |caller, delegation| world.approvals.give_delegation(caller, delegation, context(caller));
    assert_eq!(code(give(&bob, new(Some("cora"), "bob")).await), "delegation.not_yours");
    assert_eq!(code(give(&ada, new(Some("cora"), "ada")).await), "delegation.not_yours");
    assert_eq!(code(give(&operator, new(Some("cora"), "ben")).await), "approval.person_required");
    assert_eq!(code(give(&bob, new(None, "nobody")).await), "delegation.unknown_person");
    assert_eq!(code(give(&bob, new(None, "bob")).await), "delegation.to_one_self");
    let key = world.key_of("bob").await;
    assert_eq!(code(give(&key, new(None, "ben")).await), "approval.person_required");
    let given = give(&bob, new(None, "ben")).await.unwrap();
    assert_eq!(code(give(&ada, new(Some("cora"), "ben")).await), "delegation.not_yours");
    let vic = world.caller("vic").await;
    let holds = |state: &daybook_identity::directory::DirectoryState| {
        state.delegations.get(given.id.as_str()).unwrap().is_in_force(world.now())
    };
    assert!(!holds(&world.approvals.directory().now()));
    let accept = |caller| world.approvals.accept_delegation(caller, &given.id, context(caller));
    for caller in [&vic, &bob, &ada] {
        assert_eq!(code(accept(caller).await), "delegation.not_the_delegate");
    }
    assert!(accept(&ben).await.unwrap().aggregate.accepted_at().is_some());
    assert!(holds(&world.approvals.directory().now()));
    let end = |caller| world.approvals.end_delegation(caller, &given.id, context(caller));
    assert_eq!(code(end(&vic).await), "delegation.not_yours");
    end(&ben).await.unwrap();
    let state = world.approvals.directory().now();
    assert!(!state.delegations.get(given.id.as_str()).unwrap().is_in_force(world.now() + 1));
}

#[tokio::test]
async fn escalation_calls_nobody_whom_the_policy_does_not_name() {
    let world = World::new().await;
    world.policy("export.transactions", 1, steps(&[&["compliance"]])).await;
    let (ann, bob) = (world.caller("ann").await, world.caller("bob").await);
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    let id = blocked.approval_id.as_str();
    let to = vec![daybook_domain::approval_policy::Electorate::Person(actor("bob"))];
    world.approvals.escalate(&ann, id, to, None, why("Urgent"), context(&ann)).await.unwrap();
    assert_eq!(world.refusal(&bob, id).await, refused("approval.not_eligible"));
}

#[tokio::test]
async fn vote_after_the_decision_is_too_late() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    world.approves("bob", &blocked.approval_id).await;
    let ben = world.caller("ben").await;
    assert_eq!(world.refusal(&ben, &blocked.approval_id).await, (409, "approval.already_decided".to_owned()));
    let problem = world.votes(&ben, "apr_nowhere", Decision::Approve).await.unwrap_err();
    assert_eq!((problem.status(), problem.code()), (404, "approval.not_found"));
}

#[tokio::test]
async fn whoever_is_not_active_votes_neither_nor_hands_on_a_vote() {
    let world = World::new().await;
    world.policy("export.transactions", 1, steps(&[&["compliance"]])).await;
    let (ann, vic, cora) = (world.caller("ann").await, world.caller("vic").await, world.caller("cora").await);
    world.delegates("cora", "vic").await;
    let id = world.is_blocked(&ann, world.export("all")).await.approval_id;
    world.happens("usr_cora", "user.deactivated", serde_json::json!({ "reason": "Left" })).await;
    // A token may be good for some minutes more.
    assert_eq!(world.refusal(&cora, &id).await, refused("approval.voter_inactive"));
    assert_eq!(world.refusal(&vic, &id).await, refused("approval.not_eligible"));
    let told = world.is_blocked(&ann, world.export("all")).await.detail;
    assert_eq!(told, "Export requires approval; nobody in the organisation can decide it");
}
