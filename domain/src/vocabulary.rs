//! A small fixed vocabulary as an enum: one macro, so that every one parses, prints and serialises the same way.
//!
//! The words are lower case and stable; they are stored in events for ever.

/// Defines an enum of words. `accept` lists further spellings that are understood on input and never written.
macro_rules! vocabulary {
    (
        $(#[$documentation:meta])*
        $name:ident {
            $( $(#[$word_documentation:meta])* $variant:ident = $word:literal $(accept $alias:literal)? ),+ $(,)?
        }
    ) => {
        $(#[$documentation])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $( $(#[$word_documentation])* #[serde(rename = $word)] $variant, )+
        }

        impl $name {
            /// Every word, in its natural order.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];
            /// Every word as text, in the same order.
            pub const WORDS: &'static [&'static str] = &[ $( $word, )+ ];

            /// Reads the word that came at `pointer`.
            pub fn parse(pointer: &str, word: &str) -> Result<Self, $crate::text::InvalidField> {
                match word {
                    $( $word $(| $alias)? => Ok(Self::$variant), )+
                    _ => Err($crate::text::InvalidField::new(
                        pointer,
                        format!("must be one of {}", Self::WORDS.join(", ")),
                    )),
                }
            }

            /// The word as it is stored and sent.
            pub fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $word, )+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::text::InvalidField;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::parse("", word)
            }
        }
    };
}

pub(crate) use vocabulary;
