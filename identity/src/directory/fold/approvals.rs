//! Events of approvals and their policies, of delegations, of exports that wait to be collected, and of schedules.

use cqrs_es::Aggregate;
use daybook_domain::approval::{Approval, ApprovalEvent};
use daybook_domain::approval_policy::ApprovalPolicyEvent;
use daybook_domain::delegation::DelegationEvent;
use daybook_domain::export::ExportEvent;
use daybook_domain::export_schedule::{ExportSchedule, ExportScheduleEvent, ScheduleStatus};
use daybook_ledger::Entry;

use super::{change, create, remove};
use crate::directory::approval_records::{
    ApprovalRecord, DelegationRecord, ExportToCollect, MAX_ENDED_SCHEDULES, PolicyRecord, ScheduleRecord,
};
use crate::directory::records::Place;
use crate::directory::state::DirectoryState;

pub(super) fn policy(state: &mut DirectoryState, entry: &Entry, event: ApprovalPolicyEvent) -> bool {
    let id = entry.stream.stream_id.as_str();
    let (version, rules, approval_id) = match event {
        ApprovalPolicyEvent::Defined(event) => {
            let event = *event;
            let first = PolicyRecord {
                action: event.action,
                version: 0,
                rules: None,
                approval_id: None,
                place: Place::first(entry),
            };
            create(&mut state.policies, id, first);
            (event.version, Some(event.rules), event.approval_id)
        }
        ApprovalPolicyEvent::Retired(event) => (event.version, None, event.approval_id),
    };
    change(&mut state.policies, id, |policy| {
        policy.place.move_to(entry);
        policy.version = version;
        policy.rules = rules;
        policy.approval_id = Some(approval_id.into());
    })
}

pub(super) fn delegation(state: &mut DirectoryState, entry: &Entry, event: DelegationEvent) -> bool {
    let id = entry.stream.stream_id.as_str();
    match event {
        DelegationEvent::Given(event) => {
            let record = DelegationRecord {
                delegation_id: event.delegation_id.into(),
                from: event.from.into(),
                to: event.to.into(),
                starts_at: event.starts_at.micros(),
                ends_at: event.ends_at.micros(),
                accepted_at: None,
                ended_at: None,
                actions: event.actions,
                reason: event.reason.map(String::from),
                given_by: event.by.into(),
                place: Place::first(entry),
            };
            create(&mut state.delegations, id, record)
        }
        DelegationEvent::Accepted(event) => change(&mut state.delegations, id, |delegation| {
            delegation.place.move_to(entry);
            delegation.accepted_at.get_or_insert(event.at.micros());
        }),
        DelegationEvent::Ended(event) => change(&mut state.delegations, id, |delegation| {
            delegation.place.move_to(entry);
            delegation.ended_at.get_or_insert(event.at.micros());
        }),
    }
}

/// Keeps a request while it is open. What comes after changes nothing that is asked of the directory.
pub(super) fn approval(state: &mut DirectoryState, entry: &Entry, event: ApprovalEvent) -> bool {
    let id = entry.stream.stream_id.as_str();
    // A comment on a request that is over brings nothing into being again.
    if matches!(event, ApprovalEvent::Requested(_)) {
        let approval = Approval::default();
        let record = ApprovalRecord { approval_id: id.to_owned(), approval, place: Place::first(entry) };
        create(&mut state.approvals, id, record);
    }
    let changed = change(&mut state.approvals, id, |record| {
        record.place.move_to(entry);
        record.approval.apply(event);
    });
    if state.approvals.get(id).is_some_and(|record| !record.approval.is_open()) {
        remove(&mut state.approvals, id);
    }
    changed
}

pub(super) fn export(state: &mut DirectoryState, entry: &Entry, event: ExportEvent) -> bool {
    let id = entry.stream.stream_id.as_str();
    match event {
        ExportEvent::Requested(request) if request.collect => {
            let record = ExportToCollect { request, is_generated: false, place: Place::first(entry) };
            create(&mut state.exports_to_collect, id, record)
        }
        ExportEvent::Generated(_) => change(&mut state.exports_to_collect, id, |export| {
            export.place.move_to(entry);
            export.is_generated = true;
        }),
        ExportEvent::GenerationFailed(failed) if !failed.is_final => false,
        ExportEvent::Rejected(_)
        | ExportEvent::GenerationFailed(_)
        | ExportEvent::Collected(_)
        | ExportEvent::Cancelled(_)
        | ExportEvent::Removed(_) => remove(&mut state.exports_to_collect, id),
        ExportEvent::Requested(_)
        | ExportEvent::Approved(_)
        | ExportEvent::GenerationStarted(_)
        | ExportEvent::DeliveryScheduled(_)
        | ExportEvent::DeliveryAttempted(_)
        | ExportEvent::Verified(_) => false,
    }
}

pub(super) fn export_schedule(state: &mut DirectoryState, entry: &Entry, event: ExportScheduleEvent) -> bool {
    let id = entry.stream.stream_id.as_str();
    if matches!(event, ExportScheduleEvent::Created(_)) {
        let record = ScheduleRecord { schedule: ExportSchedule::default(), place: Place::first(entry) };
        create(&mut state.export_schedules, id, record);
    }
    let has_ended = matches!(event, ExportScheduleEvent::Ended(_));
    let changed = change(&mut state.export_schedules, id, |record| {
        record.place.move_to(entry);
        record.schedule.apply(event);
        // It is only shown from now on.
        if has_ended {
            record.schedule.forget_earlier_runs();
        }
    });
    if has_ended {
        forget_those_that_ended_first(state);
    }
    changed
}

/// Keeps [`MAX_ENDED_SCHEDULES`]: the ledger has them all.
fn forget_those_that_ended_first(state: &mut DirectoryState) {
    let ended =
        state.export_schedules.iter().filter(|(_, record)| record.schedule.status() == Some(ScheduleStatus::Ended));
    let mut ended: Vec<_> = ended.map(|(id, record)| (record.place.position, id.clone())).collect();
    if ended.len() > MAX_ENDED_SCHEDULES {
        ended.sort_unstable();
        let too_many = ended.len() - MAX_ENDED_SCHEDULES;
        for (_, id) in ended.into_iter().take(too_many) {
            remove(&mut state.export_schedules, &id);
        }
    }
}
