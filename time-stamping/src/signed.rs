//! CMS signed data (RFC 5652, 5), as far as a time-stamp has it: one content, one signer, some certificates.

use der::Tag;

use crate::attributes::{Attributes, Hash};
use crate::element::{Element, algorithm};
use crate::error::TimeStampError;
use crate::oid;

const WHAT: &str = "the token";
/// Most certificates a token may bring along.
const MOST_CERTIFICATES: usize = 16;

/// A token, taken apart; nothing is verified yet.
pub struct SignedData<'a> {
    /// DER of the `TSTInfo`.
    pub content: &'a [u8],
    /// The certificates in it, each as DER.
    pub certificates: Vec<&'a [u8]>,
    /// Its one signer.
    pub signer: Signer<'a>,
}

/// Who signed, and how.
pub struct Signer<'a> {
    /// Which certificate.
    pub id: SignerId<'a>,
    /// Digest of content and attributes.
    pub hash: Hash,
    /// What was signed.
    pub attributes: Attributes<'a>,
    /// Object identifier of the signature's algorithm.
    pub algorithm: der::asn1::ObjectIdentifier,
    /// The signature.
    pub signature: &'a [u8],
}

/// How a signer names its certificate.
pub enum SignerId<'a> {
    /// By issuer (DER of the name) and serial number (content of the integer).
    IssuerAndSerial { issuer: &'a [u8], serial: &'a [u8] },
    /// By subject key identifier.
    KeyId(&'a [u8]),
}

impl<'a> SignedData<'a> {
    /// Reads a DER `ContentInfo`.
    pub fn parse(token: &'a [u8]) -> Result<Self, TimeStampError> {
        let mut info = Element::whole(token, WHAT)?.sequence()?;
        let kind = info.next()?.oid()?;
        if kind != oid::SIGNED_DATA {
            return Err(TimeStampError::NotATimeStamp(kind.to_string()));
        }
        let mut fields = explicit(info.next()?)?.sequence()?;
        info.end()?;
        fields.next()?.unsigned()?;
        fields.next()?.tagged(Tag::Set)?;
        let mut encapsulated = fields.next()?.sequence()?;
        let kind = encapsulated.next()?.oid()?;
        if kind != oid::TST_INFO {
            return Err(TimeStampError::NotATimeStamp(kind.to_string()));
        }
        let content = explicit(encapsulated.next()?)?.octets()?;
        encapsulated.end()?;
        let certificates = match fields.next_if(|element| element.is_context(0))? {
            Some(certificates) => certificates.inside()?.rest()?,
            None => Vec::new(),
        };
        if certificates.len() > MOST_CERTIFICATES {
            return Err(TimeStampError::Malformed("the token's list of certificates"));
        }
        fields.next_if(|element| element.is_context(1))?;
        let signers = fields.next()?.set()?.rest()?;
        fields.end()?;
        let [signer] = signers.as_slice() else { return Err(TimeStampError::Signers(signers.len())) };
        Ok(Self {
            content,
            // Other forms than X.509 certificates have tags of their own.
            certificates: certificates.iter().filter(|one| one.tag == Tag::Sequence).map(|one| one.bytes).collect(),
            signer: Signer::parse(signer)?,
        })
    }
}

impl<'a> Signer<'a> {
    fn parse(signer: &Element<'a>) -> Result<Self, TimeStampError> {
        let mut fields = signer.sequence()?;
        fields.next()?.unsigned()?;
        let id = fields.next()?;
        let id = if id.is_primitive_context(0) {
            SignerId::KeyId(id.content)
        } else {
            let mut id = id.sequence()?;
            let issuer = id.next()?.bytes;
            let serial = id.next()?;
            serial.tagged(Tag::Integer)?;
            id.end()?;
            SignerId::IssuerAndSerial { issuer, serial: serial.content }
        };
        let hash = Hash::of(&fields.next()?)?;
        let attributes = fields.next_if(|element| element.is_context(0))?;
        let attributes = Attributes::parse(attributes.ok_or(TimeStampError::Attributes("there are none"))?)?;
        let algorithm = algorithm(&fields.next()?)?;
        let signature = fields.next()?.octets()?;
        // What nobody signed (further signatures, for instance) proves nothing here.
        fields.next_if(|element| element.is_context(1))?;
        fields.end()?;
        Ok(Self { id, hash, attributes, algorithm, signature })
    }
}

/// What is in an explicit `[0]`.
fn explicit(element: Element<'_>) -> Result<Element<'_>, TimeStampError> {
    if element.is_context(0) { element.only() } else { Err(TimeStampError::Malformed(WHAT)) }
}
