//! What the report of an evidence pack says, as whoever makes one gathers it.

use super::MAX_REMARK_CHARS;

/// A name and what it says.
pub type Fact = (String, String);

/// What the report says. Lists are as long as they may be shown; the totals say how much there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The matter.
    pub matter: String,
    /// The organisation whose ledger it is.
    pub organization: String,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// First and last moment of the period.
    pub period: (String, String),
    /// Position of the last entry that is taken into account, and when it was recorded, where the period had not ended with it.
    pub open_at: Option<(u64, String)>,
    /// What it is about, in words, a line each.
    pub about: Vec<String>,
    /// Who asked, who agreed, and by what.
    pub request: Vec<Fact>,
    /// The votes by which it was agreed to.
    pub votes: Vec<VoteLine>,
    /// Records by their type.
    pub records_by_type: Vec<(String, u64)>,
    /// Entries by what happened.
    pub entries_by_event: Vec<(String, u64)>,
    /// Entries in all.
    pub entries: u64,
    /// Of these, of the request for the pack itself and of its approval.
    pub own_entries: u64,
    /// Records among those in all that are the request for the pack itself and its approval.
    pub own_records: u64,
    /// Entries that are time stamps, in the pack for what they prove.
    pub stamp_entries: u64,
    /// The records whose story is told.
    pub stories: Vec<Story>,
    /// Records in all, approvals and holds left out.
    pub stories_total: u64,
    /// Approvals that are shown.
    pub approvals: Vec<ApprovalStory>,
    /// Approvals in all.
    pub approvals_total: u64,
    /// Holds that are shown.
    pub holds: Vec<HoldStory>,
    /// Holds in all.
    pub holds_total: u64,
    /// Who the people are, where that was asked for: id, name, address.
    pub people: Option<Vec<(String, String, String)>>,
    /// How it is proved.
    pub proof: Proof,
}

/// A record and what happened to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Story {
    /// What it is: `transaction TX-1`.
    pub title: String,
    /// How it stood at the end.
    pub facts: Vec<Fact>,
    /// Under which legal holds it is.
    pub held_by: Vec<String>,
    /// What happened, in order.
    pub lines: Vec<StoryLine>,
    /// Lines in all.
    pub lines_total: u64,
    /// The file that has all of it.
    pub file: String,
}

/// One thing that happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoryLine {
    /// When it was recorded, RFC 3339.
    pub at: String,
    /// Where it stands in the ledger.
    pub position: u64,
    /// Who did it.
    pub who: String,
    /// What, in a sentence.
    pub what: String,
    /// What somebody wrote, where that is opened.
    pub remark: Option<Remark>,
}

/// What somebody wrote, as far as the report shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remark {
    /// At most [`MAX_REMARK_CHARS`] characters of it.
    pub text: String,
    /// Whether there is more.
    pub is_cut: bool,
}

impl Remark {
    /// The beginning of `text`, which may be all of it.
    pub fn of(text: &str) -> Self {
        let end = text.char_indices().nth(MAX_REMARK_CHARS).map(|(end, _)| end);
        let shown = end.and_then(|end| text.get(..end)).unwrap_or(text);
        Self { text: shown.to_owned(), is_cut: end.is_some() }
    }
}

/// A vote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VoteLine {
    /// When.
    pub at: String,
    /// Which person.
    pub person: String,
    /// Approve or reject.
    pub decision: String,
    /// Why.
    pub reason: String,
}

/// A request for approval.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApprovalStory {
    /// Its id.
    pub id: String,
    /// What was to be done.
    pub summary: String,
    /// What became of it, who asked, when.
    pub facts: Vec<Fact>,
    /// Its votes.
    pub votes: Vec<VoteLine>,
}

/// A legal hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HoldStory {
    /// Its id.
    pub id: String,
    /// Its matter, reason, who placed it, since when.
    pub facts: Vec<Fact>,
    /// What it covers.
    pub covers: Vec<String>,
}

/// How it is proved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// Name under which checkpoints are signed.
    pub origin: String,
    /// Entries under the checkpoint.
    pub size: u64,
    /// Its root, hexadecimal.
    pub root: String,
    /// The signed note, whole.
    pub note: String,
    /// First and last position in the pack.
    pub positions: (u64, u64),
    /// The keys as the ledger announced them, one a line.
    pub keys: Vec<String>,
    /// Time stamps.
    pub timestamps: Vec<Timestamp>,
    /// Whether there are earlier ones that are not in the pack.
    pub timestamps_cut: bool,
}

/// A time stamp.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timestamp {
    /// Position of its entry.
    pub position: u64,
    /// Entries that were stamped.
    pub size: u64,
    /// When, by the token.
    pub at: String,
    /// The authority.
    pub authority: String,
}
