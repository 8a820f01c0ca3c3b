//! What people write is sealed before it becomes a command; what programs write stands as it is.

use daybook_domain::personal::{PersonalText, SealedText};
use daybook_domain::text::Paragraph;
use daybook_http_kit::sealer::APPROVAL_COMMENT;
use daybook_http_kit::{Principal, Problem, Sealer};
use daybook_identity::personal::PersonalData;

/// A comment as it is recorded: sealed with the author's key where a person wrote it.
pub(crate) async fn as_recorded(
    author: &Principal,
    personal: &PersonalData,
    text: Paragraph,
) -> Result<PersonalText<Paragraph>, Problem> {
    let Some(subject) = author.user_id() else { return Ok(PersonalText::Clear(text)) };
    let sealed = Sealer::seal(personal, subject, APPROVAL_COMMENT, text.as_str()).await?;
    // The domain's own check, so that nothing but a sealed value is recorded.
    let sealed = SealedText::parse("", subject, sealed).map_err(|error| Problem::internal(&error))?;
    Ok(PersonalText::Sealed(sealed))
}
