//! The words of a schedule: which period a run covers, why there is a run, and how a standing approval ends.

use crate::vocabulary::vocabulary;

vocabulary! {
    /// Which period each run covers: from when to when what is exported happened.
    Period {
        /// None: the filters say all there is to say.
        None = "none",
        /// From where the run before ended to the time of this one.
        SincePrevious = "since_previous",
        /// The whole calendar day before it, in the zone of the schedule.
        Day = "day",
        /// The whole ISO week before it, Monday to Sunday.
        Week = "week",
        /// The whole calendar month before it.
        Month = "month",
    }
}

vocabulary! {
    /// Why there is a run.
    RunCause {
        /// Its time has come.
        Due = "due",
        /// Somebody wanted one now.
        Asked = "asked",
    }
}

vocabulary! {
    /// Whether a schedule makes exports.
    ScheduleStatus {
        /// It does.
        Active = "active",
        /// Not for now.
        Paused = "paused",
        /// Never again.
        Ended = "ended",
    }
}

vocabulary! {
    /// What ended a standing approval, or the request for one.
    StandingEnd {
        /// Somebody decided against it.
        Rejected = "rejected",
        /// Nobody decided in time, the grant was not used in time, or its own time is over.
        Expired = "expired",
        /// Whoever asked took the request back.
        Withdrawn = "withdrawn",
        /// It did not hold any more when it was looked at.
        Voided = "voided",
        /// Others would have to agree now.
        PolicyChanged = "policy_changed",
        /// The owner may not do it any more.
        RequesterNotAllowed = "requester_not_allowed",
        /// Somebody ended it before its time.
        Revoked = "revoked",
    }
}
