//! The signed attributes of a token: what its signer says of the content and of itself (RFC 5652, 11; RFC 5035).

use der::Tag;
use der::asn1::ObjectIdentifier;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::element::{Element, algorithm};
use crate::error::TimeStampError;
use crate::oid;

/// The digest algorithms that a token may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// The one that an `AlgorithmIdentifier` names.
    pub fn of(element: &Element<'_>) -> Result<Self, TimeStampError> {
        let named = algorithm(element)?;
        match named {
            oid::SHA_256 => Ok(Self::Sha256),
            oid::SHA_384 => Ok(Self::Sha384),
            oid::SHA_512 => Ok(Self::Sha512),
            _ => Err(TimeStampError::Algorithm(named.to_string())),
        }
    }

    /// The digest of `bytes`.
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// The signed attributes.
pub struct Attributes<'a> {
    /// All of their bytes, under their implicit tag.
    whole: Element<'a>,
    list: Vec<(ObjectIdentifier, Element<'a>)>,
}

impl<'a> Attributes<'a> {
    /// Reads them from the signer's `[0]`.
    pub fn parse(whole: Element<'a>) -> Result<Self, TimeStampError> {
        let mut list: Vec<(ObjectIdentifier, Element<'a>)> = Vec::new();
        for attribute in whole.inside()?.rest()? {
            let mut fields = attribute.sequence()?;
            let name = fields.next()?.oid()?;
            let values = fields.next()?;
            values.tagged(Tag::Set)?;
            fields.end()?;
            if list.iter().any(|(other, _)| *other == name) {
                return Err(TimeStampError::Attributes("one of them is there twice"));
            }
            list.push((name, values));
        }
        Ok(Self { whole, list })
    }

    /// What the signature is over: the same bytes as a `SET`.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = self.whole.bytes.to_vec();
        if let Some(tag) = bytes.first_mut() {
            *tag = 0x31;
        }
        bytes
    }

    /// Checks that they are about this content, which is a `TSTInfo`.
    pub fn check_content(&self, content: &[u8], hash: Hash) -> Result<(), TimeStampError> {
        let content_type = self.single(oid::CONTENT_TYPE)?.ok_or(TimeStampError::Attributes("no content type"))?;
        if content_type.oid()? != oid::TST_INFO {
            return Err(TimeStampError::Attributes("the content type is not a time-stamp's"));
        }
        let digest = self.single(oid::MESSAGE_DIGEST)?.ok_or(TimeStampError::Attributes("no digest"))?;
        if digest.octets()? == hash.digest(content) { Ok(()) } else { Err(TimeStampError::ContentAltered) }
    }

    /// Checks that they name this certificate as the signer's: another one with the same key does not do.
    pub fn check_certificate(&self, certificate: &[u8]) -> Result<(), TimeStampError> {
        let first = self.single(oid::SIGNING_CERTIFICATE)?;
        let second = self.single(oid::SIGNING_CERTIFICATE_V2)?;
        if first.is_none() && second.is_none() {
            return Err(TimeStampError::Attributes("the signer's certificate is not named"));
        }
        if let Some(attribute) = first {
            let digest = first_certificate(&attribute)?.sequence()?.next()?.octets()?;
            same(digest, &sha1::Sha1::digest(certificate))?;
        }
        if let Some(attribute) = second {
            let mut fields = first_certificate(&attribute)?.sequence()?;
            let named = fields.next_if(|element| element.tag == Tag::Sequence)?;
            let digest = fields.next()?.octets()?;
            match named.map(|named| algorithm(&named)).transpose()? {
                Some(oid::SHA_1) => same(digest, &sha1::Sha1::digest(certificate))?,
                Some(oid::SHA_384) => same(digest, &Hash::Sha384.digest(certificate))?,
                Some(oid::SHA_512) => same(digest, &Hash::Sha512.digest(certificate))?,
                Some(oid::SHA_256) | None => same(digest, &Hash::Sha256.digest(certificate))?,
                Some(other) => return Err(TimeStampError::Algorithm(other.to_string())),
            }
        }
        Ok(())
    }

    /// The single value of an attribute.
    fn single(&self, name: ObjectIdentifier) -> Result<Option<Element<'a>>, TimeStampError> {
        let Some((_, values)) = self.list.iter().find(|(other, _)| *other == name) else { return Ok(None) };
        let mut values = values.set()?;
        let value = values.next()?;
        values.end()?;
        Ok(Some(value))
    }
}

/// The first certificate identifier of `SigningCertificate` or `SigningCertificateV2`: the signer's.
fn first_certificate<'a>(attribute: &Element<'a>) -> Result<Element<'a>, TimeStampError> {
    attribute.sequence()?.next()?.sequence()?.next()
}

fn same(named: &[u8], actual: &[u8]) -> Result<(), TimeStampError> {
    if named == actual { Ok(()) } else { Err(TimeStampError::OtherSignerCertificate) }
}
