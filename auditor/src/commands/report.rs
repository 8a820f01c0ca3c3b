//! `report`: the evidence page.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use daybook_auditor::{evidence_page, evidence_text};

use super::{SourceArguments, TrustArguments, examined, write_json, write_out};

/// Make an evidence page: verdicts, what each does not prove, figures, keys, checkpoints
///
///   daybook-auditor report data --keys keys.txt --format html -o evidence.html
///
/// The HTML page is one file without scripts, which prints well. Exit codes as of `verify`.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    #[command(flatten)]
    source: SourceArguments,
    #[command(flatten)]
    trust: TrustArguments,
    /// Form of the page
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Plain text
    Text,
    /// JSON, for machines
    Json,
    /// One HTML file
    Html,
}

/// Examines and writes the page.
pub async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let examination = examined(&arguments.source, &arguments.trust.read()?, None).await?;
    let path = arguments.output.as_deref();
    match arguments.format {
        Format::Text => write_out(path, &evidence_text::render(&examination, true))?,
        Format::Json => write_json(path, &examination)?,
        Format::Html => write_out(path, &evidence_page::render(&examination))?,
    }
    Ok(examination.holds())
}
