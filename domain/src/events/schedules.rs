//! The catalogue's part about schedules of exports.

use super::{EventDescription, describe};

pub(super) const SCHEDULES: &[EventDescription] = &[
    describe!(
        "export_schedule",
        "export_schedule.created",
        "Exports are to be made again and again, at the times of a calendar.",
        r#"{"schedule_id":"sch_1","name":"Daily transactions","export":{"kind":"transactions","format":"csv","filters":{"currency":"USD"},"columns":["transaction_id","amount","currency"],"deliver_to":["archive"],"cron":"0 6 * * MON-FRI","time_zone":"Europe/Zurich","period":"since_previous"},"required_permissions":[{"name":"transaction:read"}],"created_by":"usr_5f0c2a9d3b7e41866a1d0c42","person":"usr_5f0c2a9d3b7e41866a1d0c42","reason":"For the regulator's portal","at":"2026-11-21T10:00:00.000000Z"}"#
    ),
    describe!(
        "export_schedule",
        "export_schedule.changed",
        "A schedule exports something else, elsewhere or at other times; what was agreed to beforehand is not any more.",
        r#"{"revision":2,"export":{"kind":"transactions","format":"csv","deliver_to":["archive"],"cron":"30 6 * * *","time_zone":"Europe/Zurich","period":"day"},"required_permissions":[{"name":"transaction:read"}],"by":"usr_5f0c2a9d3b7e41866a1d0c42","reason":"The portal wants every day","displaces":"apr_1","at":"2026-11-22T10:00:00.000000Z"}"#
    ),
    describe!(
        "export_schedule",
        "export_schedule.paused",
        "A schedule makes no exports for now; what would be due meanwhile is not made up for. Where it `binds`, the owner cannot resume it.",
        r#"{"by":"usr_0b1c2d3e4f5061728394a5b6","reason":"The portal is down until Monday","binds":true,"at":"2026-11-22T10:00:00.000000Z"}"#
    ),
    describe!(
        "export_schedule",
        "export_schedule.resumed",
        "A schedule makes exports again.",
        r#"{"by":"usr_0b1c2d3e4f5061728394a5b6","at":"2026-11-23T10:00:00.000000Z"}"#
    ),
    describe!(
        "export_schedule",
        "export_schedule.ended",
        "A schedule makes no exports any more.",
        r#"{"by":"usr_5f0c2a9d3b7e41866a1d0c42","reason":"The portal is gone","at":"2026-12-23T10:00:00.000000Z"}"#
    ),
    describe!(
        "export_schedule",
        "export_schedule.standing_requested",
        "Somebody asked that all runs of a schedule until a time be agreed to; the approval with this digest decides.",
        r#"{"approval_id":"apr_1","until":"2027-11-21T00:00:00.000000Z","digest":"a3c1f0d25b7e4896a3c1f0d25b7e4896a3c1f0d25b7e4896a3c1f0d25b7e4896","by":"usr_5f0c2a9d3b7e41866a1d0c42","at":"2026-11-21T10:00:00.000000Z"}"#
    ),
    describe!(
        "export_schedule",
        "export_schedule.standing_approved",
        "The approval was used up for the schedule: its runs until that time rest on it.",
        r#"{"approval_id":"apr_1","execution_id":"sch_1","policy_version":2,"approved_by":["usr_0b1c2d3e4f5061728394a5b6"],"until":"2027-11-21T00:00:00.000000Z","at":"2026-11-21T11:00:00.000000Z"}"#
    ),
    describe!(
        "export_schedule",
        "export_schedule.standing_ended",
        "No run rests on that approval any more, or will.",
        r#"{"approval_id":"apr_1","why":"policy_changed","at":"2027-01-21T10:00:00.000000Z"}"#
    ),
    describe!(
        "export_schedule",
        "export_schedule.run",
        "An export of a schedule is to be made: its time had come, or somebody wanted it now.",
        r#"{"run":8,"revision":1,"cause":"due","scheduled_for":"2026-12-02T05:00:00.000000Z","missed":1,"from":"2026-11-30T05:00:00.000000Z","to":"2026-12-02T05:00:00.000000Z","export_id":"exp_8b1f0d25b7e48966a3c1f0d25b7e4896","approval_id":"apr_1","rests_on":"standing","at":"2026-12-02T05:00:01.200000Z"}"#
    ),
];
