//! How mail leaves: not at all, as files in a folder, or through an SMTP server.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::hidden::Hidden;

/// The environment variable with the password of the SMTP server.
pub const MAIL_PASSWORD_VARIABLE: &str = "DAYBOOK_MAIL_PASSWORD";
/// Who mail is from where nothing is sent over a network.
const DEFAULT_FROM: &str = "daybook@localhost";

/// A way for mail to leave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTransport {
    /// None leaves: invitations show their link to who invites, and passwords cannot be reset by mail.
    None,
    /// One file a mail in a folder, for its owner alone.
    #[default]
    File,
    /// Over TLS to a server that passes it on.
    Smtp,
}

/// How the connection to the SMTP server is secured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// Plain at first, then STARTTLS, or nothing is sent.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Implicit,
    /// None. For a server on this machine only.
    Off,
}

/// Flags and file entries. `serve` and `demo` take these.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(default)]
pub struct MailOptions {
    /// How mail leaves [default: file]
    #[arg(long, value_enum, value_name = "HOW", env = "DAYBOOK_MAIL_TRANSPORT", help_heading = "Mail")]
    pub mail_transport: Option<MailTransport>,
    /// Folder of the mails that are files [default: <DIR>/mail]
    #[arg(long, value_name = "DIR", env = "DAYBOOK_MAIL_FOLDER", help_heading = "Mail")]
    pub mail_folder: Option<PathBuf>,
    /// Who mails are from: an address, or "Name <address>"; required with smtp
    #[arg(long, value_name = "ADDRESS", env = "DAYBOOK_MAIL_FROM", help_heading = "Mail")]
    pub mail_from: Option<String>,
    /// The SMTP server
    #[arg(long, value_name = "HOST", env = "DAYBOOK_MAIL_HOST", help_heading = "Mail")]
    pub mail_host: Option<String>,
    /// Its port [default: 587; 465 with implicit TLS, 25 without TLS]
    #[arg(long, value_name = "PORT", env = "DAYBOOK_MAIL_PORT", help_heading = "Mail")]
    pub mail_port: Option<u16>,
    /// How the connection to it is secured [default: starttls]
    #[arg(long, value_enum, value_name = "HOW", env = "DAYBOOK_MAIL_TLS", help_heading = "Mail")]
    pub mail_tls: Option<MailTls>,
    /// Who logs in there; DAYBOOK_MAIL_PASSWORD holds the password
    #[arg(long, value_name = "NAME", env = "DAYBOOK_MAIL_USER", help_heading = "Mail")]
    pub mail_user: Option<String>,
    /// The password, in the file.
    #[arg(skip)]
    pub mail_password: Option<Hidden>,
}

/// All told.
#[derive(Debug, Clone, PartialEq)]
pub enum MailSettings {
    /// No mail leaves.
    None,
    /// Files.
    File {
        /// Their folder.
        folder: PathBuf,
        /// Who they are from.
        from: String,
    },
    /// An SMTP server.
    Smtp(SmtpSettings),
}

/// An SMTP server.
#[derive(Debug, Clone, PartialEq)]
pub struct SmtpSettings {
    /// Its name or address.
    pub host: String,
    /// Its port; the usual one where there is none.
    pub port: Option<u16>,
    /// How the connection is secured.
    pub tls: MailTls,
    /// Who logs in, and with what.
    pub login: Option<(String, Hidden)>,
    /// Who mails are from.
    pub from: String,
}

impl MailSettings {
    /// From flags and environment (`options`), the password in the environment, and the file.
    pub(super) fn resolve(
        options: MailOptions,
        password: Option<Hidden>,
        file: MailOptions,
        data: &Path,
    ) -> anyhow::Result<Self> {
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let from = given(options.mail_from.or(file.mail_from));
        let host = given(options.mail_host.or(file.mail_host));
        let user = given(options.mail_user.or(file.mail_user));
        let password = password.or(file.mail_password).filter(|password| !password.is_empty());
        let transport = options.mail_transport.or(file.mail_transport).unwrap_or_default();
        if transport != MailTransport::Smtp {
            ensure!(
                host.is_none() && user.is_none() && password.is_none(),
                "a mail server is given, but mail_transport is not smtp"
            );
        }
        Ok(match transport {
            MailTransport::None => Self::None,
            MailTransport::File => Self::File {
                folder: options.mail_folder.or(file.mail_folder).unwrap_or_else(|| data.join("mail")),
                from: from.unwrap_or_else(|| DEFAULT_FROM.to_owned()),
            },
            MailTransport::Smtp => {
                let (Some(host), Some(from)) = (host, from) else {
                    bail!("mail_transport smtp needs mail_host and mail_from")
                };
                let tls = options.mail_tls.or(file.mail_tls).unwrap_or_default();
                let login = match (user, password) {
                    (Some(user), Some(password)) => Some((user, password)),
                    (None, None) => None,
                    (Some(_), None) => bail!("mail_user needs a password: set {MAIL_PASSWORD_VARIABLE}"),
                    (None, Some(_)) => bail!("a mail password is given without mail_user"),
                };
                ensure!(
                    tls != MailTls::Off || login.is_none(),
                    "without TLS no password is sent: mail_tls off and mail_user exclude each other"
                );
                let port = options.mail_port.or(file.mail_port);
                Self::Smtp(SmtpSettings { host, port, tls, login, from })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn resolve(password: Option<&str>, text: &str) -> anyhow::Result<MailSettings> {
        let password = password.map(Hidden::from);
        MailSettings::resolve(MailOptions::default(), password, toml::from_str(text)?, Path::new("/data"))
    }

    #[test]
    fn mails_are_files_unless_said() {
        let expected = MailSettings::File { folder: "/data/mail".into(), from: "daybook@localhost".to_owned() };
        assert_eq!(resolve(None, "").unwrap(), expected);
        assert_eq!(resolve(None, "mail_transport = \"none\"").unwrap(), MailSettings::None);
    }

    #[test]
    fn server_is_reached_over_tls_and_its_password_is_not_printed() {
        let base = "mail_transport = \"smtp\"\nmail_host = \"mx.example\"\nmail_from = \"daybook@example.com\"\n";
        let MailSettings::Smtp(plain) = resolve(None, base).unwrap() else { panic!("smtp") };
        assert_eq!((plain.port, plain.tls), (None, MailTls::Starttls));
        let text = format!("{base}mail_user = \"u\"\nmail_tls = \"implicit\"\nmail_port = 2525");
        let settings = resolve(Some("s3cret"), &text).unwrap();
        assert!(!format!("{settings:?}").contains("s3cret"));
        let MailSettings::Smtp(smtp) = settings else { panic!("smtp") };
        assert_eq!((smtp.port, smtp.login.unwrap().1.expose()), (Some(2525), "s3cret"));
    }

    #[test]
    fn half_a_configuration_is_refused() {
        let base = "mail_transport = \"smtp\"\nmail_host = \"mx.example\"\nmail_from = \"daybook@example.com\"\n";
        for (password, text) in [
            (None, "mail_transport = \"smtp\"".to_owned()),
            (None, "mail_host = \"mx.example\"".to_owned()),
            (None, format!("{base}mail_user = \"u\"")),
            (Some("p"), base.to_owned()),
            (Some("p"), format!("{base}mail_user = \"u\"\nmail_tls = \"off\"")),
        ] {
            assert!(resolve(password, &text).is_err(), "{text}");
        }
    }
}
