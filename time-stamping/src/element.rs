//! Walking through DER without losing the bytes: what was signed is checked as it came, never as it would be written again.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag, Tagged};

use crate::error::TimeStampError;

/// One value: its tag, its content, and all of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    pub tag: Tag,
    /// Without tag and length.
    pub content: &'a [u8],
    /// With tag and length.
    pub bytes: &'a [u8],
    /// What it is part of, for errors.
    what: &'static str,
}

impl<'a> Element<'a> {
    /// The one value that `bytes` are; nothing may follow it.
    pub fn whole(bytes: &'a [u8], what: &'static str) -> Result<Self, TimeStampError> {
        let any = AnyRef::from_der(bytes).map_err(|_| TimeStampError::Malformed(what))?;
        Ok(Self { tag: any.tag(), content: any.value(), bytes, what })
    }

    /// The values in it, where it is a `SEQUENCE`.
    pub fn sequence(&self) -> Result<Elements<'a>, TimeStampError> {
        self.tagged(Tag::Sequence)?;
        self.inside()
    }

    /// The values in it, where it is a `SET`.
    pub fn set(&self) -> Result<Elements<'a>, TimeStampError> {
        self.tagged(Tag::Set)?;
        self.inside()
    }

    /// The values in it, whatever its tag: for implicit tags.
    pub fn inside(&self) -> Result<Elements<'a>, TimeStampError> {
        let reader = SliceReader::new(self.content).map_err(|_| TimeStampError::Malformed(self.what))?;
        Ok(Elements { reader, what: self.what })
    }

    /// The single value in it: for explicit tags.
    pub fn only(&self) -> Result<Self, TimeStampError> {
        Self::whole(self.content, self.what)
    }

    /// Its content, where it is an `OCTET STRING`.
    pub fn octets(&self) -> Result<&'a [u8], TimeStampError> {
        self.tagged(Tag::OctetString)?;
        Ok(self.content)
    }

    /// The object identifier that it is.
    pub fn oid(&self) -> Result<ObjectIdentifier, TimeStampError> {
        ObjectIdentifier::from_der(self.bytes).map_err(|_| TimeStampError::Malformed(self.what))
    }

    /// The digits of an `INTEGER` that is not negative, big-endian, without leading zeros.
    pub fn unsigned(&self) -> Result<&'a [u8], TimeStampError> {
        self.tagged(Tag::Integer)?;
        match self.content {
            [] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => Err(TimeStampError::Malformed(self.what)),
            [0, rest @ ..] => Ok(rest),
            digits => Ok(digits),
        }
    }

    /// Fails unless it has this tag.
    pub fn tagged(&self, tag: Tag) -> Result<(), TimeStampError> {
        if self.tag == tag { Ok(()) } else { Err(TimeStampError::Malformed(self.what)) }
    }

    /// Whether its tag is `[number]`, constructed.
    pub fn is_context(&self, number: u32) -> bool {
        matches!(self.tag, Tag::ContextSpecific { constructed: true, number: actual } if actual.value() == number)
    }

    /// Whether its tag is `[number]`, primitive.
    pub fn is_primitive_context(&self, number: u32) -> bool {
        matches!(self.tag, Tag::ContextSpecific { constructed: false, number: actual } if actual.value() == number)
    }
}

/// The values of a sequence or set, in turn.
#[derive(Clone)]
pub struct Elements<'a> {
    reader: SliceReader<'a>,
    what: &'static str,
}

impl<'a> Elements<'a> {
    /// The next one, which must be there.
    pub fn next(&mut self) -> Result<Element<'a>, TimeStampError> {
        let bytes = self.reader.tlv_bytes().map_err(|_| TimeStampError::Malformed(self.what))?;
        Element::whole(bytes, self.what)
    }

    /// The next one if there is one and `wanted` likes it; it stays where it is otherwise.
    pub fn next_if(&mut self, wanted: impl Fn(&Element<'a>) -> bool) -> Result<Option<Element<'a>>, TimeStampError> {
        if self.reader.is_finished() {
            return Ok(None);
        }
        let mut ahead = self.clone();
        let element = ahead.next()?;
        if !wanted(&element) {
            return Ok(None);
        }
        *self = ahead;
        Ok(Some(element))
    }

    /// All that are left.
    pub fn rest(mut self) -> Result<Vec<Element<'a>>, TimeStampError> {
        let mut elements = Vec::new();
        while let Some(element) = self.next_if(|_| true)? {
            elements.push(element);
        }
        Ok(elements)
    }

    /// Fails where anything is left.
    pub fn end(self) -> Result<(), TimeStampError> {
        if self.reader.is_finished() { Ok(()) } else { Err(TimeStampError::Malformed(self.what)) }
    }
}

/// The algorithm of an `AlgorithmIdentifier`; parameters are none or `NULL` for all that are supported.
pub fn algorithm(element: &Element<'_>) -> Result<ObjectIdentifier, TimeStampError> {
    let mut fields = element.sequence()?;
    let algorithm = fields.next()?.oid()?;
    if let Some(parameters) = fields.next_if(|_| true)?
        && parameters.tag != Tag::Null
    {
        return Err(TimeStampError::Algorithm(algorithm.to_string()));
    }
    fields.end()?;
    Ok(algorithm)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn bytes_after_the_value_are_refused() {
        assert!(Element::whole(&[0x30, 0x00], "it").is_ok());
        assert_eq!(Element::whole(&[0x30, 0x00, 0x00], "it"), Err(TimeStampError::Malformed("it")));
    }

    #[test]
    fn integers_are_minimal_and_not_negative() {
        let unsigned = |bytes: &'static [u8]| Element::whole(bytes, "it").and_then(|element| element.unsigned());
        assert_eq!(unsigned(&[2, 1, 5]).unwrap(), [5]);
        assert_eq!(unsigned(&[2, 2, 0, 0x80]).unwrap(), [0x80]);
        assert!(unsigned(&[2, 1, 0]).unwrap().is_empty());
        for wrong in [&[2, 0][..], &[2, 1, 0x80], &[2, 2, 0, 5]] {
            assert!(unsigned(wrong).is_err(), "{wrong:?}");
        }
    }
}
