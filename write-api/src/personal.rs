//! What people write is sealed before it becomes a command; what programs write stands as it is.

use daybook_domain::personal::{PersonalText, SealedText};
use daybook_domain::text::Paragraph;
use daybook_http_kit::{Principal, Problem};

use crate::state::WriteState;

/// The text as it is recorded in `field`: sealed with the author's key where a person wrote it.
pub(crate) async fn as_recorded(
    author: &Principal,
    state: &WriteState,
    field: &str,
    text: Paragraph,
) -> Result<PersonalText<Paragraph>, Problem> {
    let (Some(subject), Some(sealer)) = (author.user_id(), &state.sealer) else {
        return Ok(PersonalText::Clear(text));
    };
    let sealed = sealer.seal(subject, field, text.as_str()).await?;
    // The domain's own check, so that nothing but a sealed value is recorded whatever the sealer answers.
    let sealed = SealedText::parse("", subject, sealed).map_err(|error| Problem::internal(&error))?;
    Ok(PersonalText::Sealed(sealed))
}
