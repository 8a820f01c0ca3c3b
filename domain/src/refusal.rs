//! What every refusal of a command has in common, so that whoever answers needs to know one trait and not every enum.
//!
//! A refusal says which rule was broken; how that is told over a wire is decided elsewhere.

/// What sort of rule was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// There is nothing there to which the command could be given.
    NotFound,
    /// What is to be made is there already, with other content.
    Exists,
    /// The state does not allow it.
    Rule,
}

/// A refusal of a command. Nothing was recorded.
pub trait Refusal: std::error::Error + Clone + PartialEq + Send + Sync + 'static {
    /// Every code that this type has, in the order of its variants.
    const CODES: &'static [&'static str];

    /// The stable dotted code, for programs: `user.deactivated`.
    fn code(&self) -> &'static str;

    /// What sort of rule was broken.
    fn kind(&self) -> RefusalKind;

    /// JSON pointer of the one field to blame, where there is one.
    fn pointer(&self) -> Option<&'static str>;

    /// The refusal of a command to something that is not there.
    fn not_found() -> Self;
}

/// Defines the enum of an aggregate's refusals: each variant with its message, code and kind, and the pointer of the
/// field to blame where there is one. Every such enum has a variant `NotFound`.
macro_rules! refusals {
    (
        $(#[$documentation:meta])*
        $name:ident {
            $(
                $(#[$variant_documentation:meta])*
                $variant:ident
                $({ $( $(#[$field_documentation:meta])* $field:ident : $field_type:ty ),+ $(,)? })?
                = $code:literal, $kind:ident $(, $pointer:literal)?
            );+ $(;)?
        }
    ) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum $name {
            $(
                $(#[$variant_documentation])*
                $variant $({ $( $(#[$field_documentation])* $field: $field_type, )+ })?,
            )+
        }

        impl $crate::refusal::Refusal for $name {
            const CODES: &'static [&'static str] = &[ $( $code, )+ ];

            fn code(&self) -> &'static str {
                match self {
                    $( Self::$variant { .. } => $code, )+
                }
            }

            fn kind(&self) -> $crate::refusal::RefusalKind {
                match self {
                    $( Self::$variant { .. } => $crate::refusal::RefusalKind::$kind, )+
                }
            }

            fn pointer(&self) -> Option<&'static str> {
                match self {
                    $( Self::$variant { .. } => $crate::refusal::optional!($($pointer)?), )+
                }
            }

            fn not_found() -> Self {
                Self::NotFound
            }
        }
    };
}

/// A literal that may be missing, as an option.
macro_rules! optional {
    () => {
        None
    };
    ($value:literal) => {
        Some($value)
    };
}

pub(crate) use {optional, refusals};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api_key::ApiKeyError;
    use crate::approval::ApprovalError;
    use crate::approval_policy::ApprovalPolicyError;
    use crate::delegation::DelegationError;
    use crate::department::DepartmentError;
    use crate::erasure::ErasureError;
    use crate::export::ExportError;
    use crate::export_schedule::ExportScheduleError;
    use crate::legal_hold::LegalHoldError;
    use crate::organization::OrganizationError;
    use crate::permission::PermissionError;
    use crate::retention_rule::RetentionRuleError;
    use crate::role::RoleError;
    use crate::session::SessionError;
    use crate::user::UserError;

    fn check<R: Refusal>(subject: &str, seen: &mut BTreeSet<&'static str>) {
        for code in R::CODES {
            assert!(code.starts_with(&format!("{subject}.")), "{code} is not of {subject}");
            assert!(seen.insert(code), "{code} is there twice");
        }
        assert_eq!(R::not_found().kind(), RefusalKind::NotFound);
        assert_eq!(R::not_found().code(), format!("{subject}.not_found"));
    }

    #[test]
    fn every_code_names_what_it_is_about_and_one_rule() {
        let mut seen = BTreeSet::new();
        check::<OrganizationError>("organization", &mut seen);
        check::<DepartmentError>("department", &mut seen);
        check::<RoleError>("role", &mut seen);
        check::<PermissionError>("permission", &mut seen);
        check::<UserError>("user", &mut seen);
        check::<SessionError>("session", &mut seen);
        check::<ApiKeyError>("api_key", &mut seen);
        check::<LegalHoldError>("legal_hold", &mut seen);
        check::<ErasureError>("erasure", &mut seen);
        check::<ApprovalPolicyError>("approval_policy", &mut seen);
        check::<DelegationError>("delegation", &mut seen);
        check::<ApprovalError>("approval", &mut seen);
        check::<ExportError>("export", &mut seen);
        check::<ExportScheduleError>("export_schedule", &mut seen);
        check::<RetentionRuleError>("retention_rule", &mut seen);
    }
}
