//! The words of an export: what can be exported, in which form, and how far it has come.

use crate::vocabulary::vocabulary;

vocabulary! {
    /// What is exported.
    ExportKind {
        /// Transactions as they stand.
        Transactions = "transactions",
        /// Incidents as they stand.
        Incidents = "incidents",
        /// People's accounts.
        Users = "users",
        /// What agents proposed and did.
        AgentActions = "agent_actions",
        /// Who did what, entry by entry, as people read it.
        AuditTrail = "audit_trail",
        /// The ledger's entries themselves.
        Entries = "entries",
        /// All that there is on a matter, with what proves it.
        EvidencePack = "evidence_pack",
    }
}

impl ExportKind {
    /// The type of the action that needs approval: `export.transactions`.
    pub fn action(self) -> &'static str {
        match self {
            Self::Transactions => "export.transactions",
            Self::Incidents => "export.incidents",
            Self::Users => "export.users",
            Self::AgentActions => "export.agent_actions",
            Self::AuditTrail => "export.audit_trail",
            Self::Entries => "export.entries",
            Self::EvidencePack => "export.evidence_pack",
        }
    }

    /// The permission without which nobody may ask for it: the one to read the same on a screen. Columns that say how a
    /// person is reached need `user:read_contact` as well.
    pub fn required_permission(self) -> &'static str {
        match self {
            Self::Transactions => "transaction:read",
            Self::Incidents => "incident:read",
            Self::Users => "user:list",
            Self::AgentActions => "agent:read",
            Self::AuditTrail => "audit:read",
            Self::Entries | Self::EvidencePack => "ledger:read",
        }
    }

    /// The forms that it comes in. Tables come in each of them but the one for packs, which come in no other.
    pub fn comes_as(self, format: ExportFormat) -> bool {
        (self == Self::EvidencePack) == (format == ExportFormat::Zip)
    }

    /// The form that it has where nobody says.
    pub fn default_format(self) -> ExportFormat {
        if self == Self::EvidencePack { ExportFormat::Zip } else { ExportFormat::Csv }
    }
}

vocabulary! {
    /// The form of the file.
    ExportFormat {
        /// Comma-separated values, RFC 4180.
        Csv = "csv",
        /// One JSON object a line.
        Ndjson = "ndjson" accept "jsonl",
        /// One JSON array of objects.
        Json = "json",
        /// Apache Parquet.
        Parquet = "parquet",
        /// Many files in one.
        Zip = "zip",
    }
}

vocabulary! {
    /// How far an export has come.
    ExportStatus {
        /// Somebody asked for it.
        Requested = "requested",
        /// It may be made.
        Approved = "approved",
        /// It is being made, or will be tried again.
        Generating = "generating",
        /// The file is there.
        Generated = "generated",
        /// It could not be made, and is not tried again.
        Failed = "failed",
        /// It may not be made.
        Rejected = "rejected",
        /// Somebody did not want it any more.
        Cancelled = "cancelled",
        /// The file was there and is not any more.
        Removed = "removed",
    }
}

vocabulary! {
    /// Whether an export came to where it was wanted.
    DeliveryStatus {
        /// Nobody wants it delivered, or there is nothing to deliver.
        None = "none",
        /// Some destination is still waited for.
        Pending = "pending",
        /// Every destination has it.
        Delivered = "delivered",
        /// Some destinations have it, others were given up.
        Partial = "partial",
        /// Every destination was given up.
        Failed = "failed",
    }
}

vocabulary! {
    /// What the last verification of the file came to.
    VerificationStatus {
        /// There was none.
        Unverified = "unverified",
        /// The file, its manifest and its signature are what was recorded.
        Verified = "verified",
        /// They are not.
        Tampered = "tampered",
        /// It could not be looked at.
        Failed = "failed",
    }
}

vocabulary! {
    /// What one verification came to.
    VerificationResult {
        /// The file, its manifest and its signature are what was recorded.
        Verified = "verified",
        /// They are not.
        Tampered = "tampered",
        /// It could not be looked at.
        Failed = "failed",
    }
}

vocabulary! {
    /// What ended the approval of an export that may not be made.
    RejectionCause {
        /// Somebody decided so.
        Rejected = "rejected",
        /// Nobody decided in time, or the grant was not used in time.
        Expired = "expired",
        /// Whoever asked took it back.
        Withdrawn = "withdrawn",
        /// It did not hold any more when it was to be used.
        Voided = "voided",
        /// It was never opened.
        Missing = "missing",
    }
}

vocabulary! {
    /// Which sort of approval decides on a run of a schedule.
    RestsOn {
        /// One for all runs until a time.
        Standing = "standing",
        /// One for this run alone.
        Own = "own",
    }
}

vocabulary! {
    /// Why there is a delivery.
    DeliveryCause {
        /// It was asked for with the export.
        First = "first",
        /// Somebody wants it once more.
        Redeliver = "redeliver",
    }
}

vocabulary! {
    /// What one attempt to deliver came to.
    DeliveryOutcome {
        /// The destination has it.
        Delivered = "delivered",
        /// It does not, and will be tried again.
        Failed = "failed",
        /// It does not, and is given up.
        Dead = "dead",
    }
}

vocabulary! {
    /// How a manifest is signed.
    SignatureAlgorithm {
        /// ECDSA on P-256 over SHA-256, in DER.
        EcdsaP256Sha256 = "ecdsa-p256-sha256",
    }
}
