//! Letters to people: to files, by SMTP, or not at all.
