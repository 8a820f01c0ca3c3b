//! Personal fields, sealed with a key for each data subject.
