//! What people wrote, opened at the last moment: the text of somebody who was erased shows as erased at once, in whatever
//! table it stands.

use daybook_http_kit::Problem;
use daybook_http_kit::sealer::{SealedValue, UNREADABLE};
use daybook_read_models::FreeText;

use crate::state::QueryState;

/// The texts as they are shown, in their order; all keys are asked for at once. `field` is where they stand.
pub(crate) async fn shown(
    state: &QueryState,
    field: &str,
    texts: Vec<Option<FreeText>>,
) -> Result<Vec<Option<String>>, Problem> {
    let sealed: Vec<SealedValue<'_>> = texts
        .iter()
        .flatten()
        .filter_map(FreeText::sealed)
        .map(|value| SealedValue { subject: &value.subject, sealed: &value.sealed, field })
        .collect();
    let opened = match &state.sealer {
        Some(sealer) if !sealed.is_empty() => sealer.open_many(&sealed).await?,
        _ => Vec::new(),
    };
    let mut opened = opened.into_iter();
    let mut show = |text| match text {
        FreeText::Clear(text) => text,
        FreeText::Sealed(_) => opened.next().unwrap_or_else(|| UNREADABLE.to_owned()),
    };
    Ok(texts.into_iter().map(|text| text.map(&mut show)).collect())
}
