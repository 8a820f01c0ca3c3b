//! Events to payload bytes and back.
//!
//! An event serialises as `{"event_type":…,"payload":{…}}`; the ledger keeps the two apart. The bytes written here are the
//! ones that are stored and hashed.

use std::borrow::Cow;
use std::fmt;

use cqrs_es::DomainEvent;
use cqrs_es::persist::{EventUpcaster, SerializedEvent};
use serde::Deserialize;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::append::Draft;
use crate::entry::Entry;

/// A payload or state that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// It does not have the form `{"event_type": …, "payload": {…}}`.
    #[error("the event cannot be encoded: {0}")]
    Encode(String),
    /// The entry's payload is not this aggregate's event.
    #[error("entry {position} ({event_type}) cannot be decoded: {why}")]
    Decode {
        /// Position of the entry.
        position: u64,
        /// Its event type.
        event_type: String,
        /// What is wrong.
        why: String,
    },
}

fn not_encoded(why: impl fmt::Display) -> CodecError {
    CodecError::Encode(why.to_string())
}

/// Serialises an event once: these bytes are stored and hashed.
pub fn encode<E: DomainEvent>(event: &E, with_nonce: bool) -> Result<Draft, CodecError> {
    #[derive(Deserialize)]
    struct Tagged<'a> {
        #[serde(borrow)]
        event_type: Cow<'a, str>,
        #[serde(borrow)]
        payload: Option<&'a RawValue>,
    }
    let mut text = Vec::with_capacity(768);
    serde_json::to_writer(&mut text, event).map_err(not_encoded)?;
    let text = str::from_utf8(&text).map_err(not_encoded)?;
    let (event_type, payload) = match split_tagged(text) {
        Some((event_type, payload)) => (Cow::Borrowed(event_type), payload),
        None => {
            let tagged: Tagged<'_> = serde_json::from_str(text).map_err(not_encoded)?;
            (tagged.event_type, tagged.payload.map_or("{}", RawValue::get))
        }
    };
    let payload = if with_nonce { add_nonce(payload)? } else { payload.to_owned() };
    let version = event.event_version();
    let schema_version =
        version.parse().map_err(|_| CodecError::Encode(format!("event version {version} is not a number")))?;
    Ok(Draft::new(event_type, schema_version, payload))
}

/// Cuts the usual form apart without parsing it. Whether the payload is one JSON value is found out by reading it back.
fn split_tagged(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix(r#"{"event_type":""#)?;
    let (event_type, rest) = rest.split_once('"')?;
    let payload = rest.strip_prefix(r#","payload":"#)?.strip_suffix('}')?;
    (!event_type.contains('\\')).then_some((event_type, payload))
}

fn add_nonce(payload: &str) -> Result<String, CodecError> {
    let Some(rest) = payload.strip_prefix('{') else {
        return Err(CodecError::Encode("the payload is not an object".to_owned()));
    };
    let mut nonce = [0_u8; 32];
    hex::encode_to_slice(rand::random::<[u8; 16]>(), &mut nonce).map_err(not_encoded)?;
    let mut text = String::with_capacity(payload.len() + 48);
    text.push_str(r#"{"nonce":""#);
    text.push_str(str::from_utf8(&nonce).map_err(not_encoded)?);
    text.push('"');
    if !rest.trim_start().starts_with('}') {
        text.push(',');
    }
    text.push_str(rest);
    Ok(text)
}

/// Reads a draft back: what cannot be read must not enter, for an entry stays for ever.
pub(super) fn check_readable<E: DomainEvent>(draft: &Draft, event: &E) -> Result<(), CodecError> {
    match decode_payload::<E>(&draft.event_type, &draft.payload) {
        Ok(read) if read == *event => Ok(()),
        Ok(_) => Err(CodecError::Encode("the event reads back as another one".to_owned())),
        Err(error) => Err(CodecError::Encode(format!("the event cannot be read back: {error}"))),
    }
}

fn decode_payload<E: DomainEvent>(event_type: &str, payload: &str) -> Result<E, serde_json::Error> {
    let mut payload = serde_json::Deserializer::from_str(payload);
    let event = E::deserialize(Tagged { event_type, payload: &mut payload })?;
    payload.end()?;
    Ok(event)
}

/// An event's two parts, read as if they stood together in one object: `event_type` first, then `payload`.
struct Tagged<'a, 'de> {
    event_type: &'de str,
    payload: &'a mut serde_json::Deserializer<serde_json::de::StrRead<'de>>,
}

impl<'de> Deserializer<'de> for Tagged<'_, 'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_map(Parts { event_type: Some(self.event_type), payload: Some(self.payload), in_key: true })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Parts<'a, 'de> {
    event_type: Option<&'de str>,
    payload: Option<&'a mut serde_json::Deserializer<serde_json::de::StrRead<'de>>>,
    /// False where the value of the key just given is due.
    in_key: bool,
}

impl<'de> MapAccess<'de> for Parts<'_, 'de> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Self::Error> {
        let key = match (&self.event_type, &self.payload) {
            (Some(_), _) => "event_type",
            (None, Some(_)) => "payload",
            (None, None) => return Ok(None),
        };
        self.in_key = false;
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Self::Error> {
        if std::mem::replace(&mut self.in_key, true) {
            return Err(Self::Error::custom("a value was asked for before its key"));
        }
        match (self.event_type.take(), &mut self.payload) {
            (Some(event_type), _) => seed.deserialize(BorrowedStrDeserializer::new(event_type)),
            (None, payload) => match payload.take() {
                Some(payload) => seed.deserialize(payload),
                None => Err(Self::Error::custom("there is no further value")),
            },
        }
    }
}

/// Reads an entry back as an event, through the upcasters where they apply.
pub fn decode<E: DomainEvent>(entry: &Entry, upcasters: &[Box<dyn EventUpcaster>]) -> Result<E, CodecError> {
    let failed =
        |why: String| CodecError::Decode { position: entry.position, event_type: entry.event_type.clone(), why };
    let payload = entry.payload.as_deref().ok_or_else(|| failed("the payload was pruned".to_owned()))?;
    let raised = if upcasters.is_empty() { None } else { upcast(entry, payload, upcasters) };
    let raised = raised.transpose().map_err(|error| failed(error.to_string()))?;
    decode_payload(&entry.event_type, raised.as_deref().unwrap_or(payload)).map_err(|error| failed(error.to_string()))
}

/// The payload as the newest schema has it; `None` where no upcaster applies.
fn upcast(
    entry: &Entry,
    payload: &str,
    upcasters: &[Box<dyn EventUpcaster>],
) -> Option<Result<String, serde_json::Error>> {
    let version = entry.schema_version.to_string();
    if !upcasters.iter().any(|upcaster| upcaster.can_upcast(&entry.event_type, &version)) {
        return None;
    }
    let raise = |payload: serde_json::Value| {
        let event = SerializedEvent::new(
            entry.stream.stream_id.clone(),
            usize::try_from(entry.version).unwrap_or(usize::MAX),
            entry.stream.stream_type.clone(),
            entry.event_type.clone(),
            version,
            payload,
            serde_json::Value::Null,
        );
        let raised = upcasters.iter().fold(event, |event, upcaster| {
            if upcaster.can_upcast(&event.event_type, &event.event_version) { upcaster.upcast(event) } else { event }
        });
        serde_json::to_string(&raised.payload)
    };
    Some(serde_json::from_str(payload).and_then(raise))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde::Serialize;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "event_type", content = "payload")]
    enum Event {
        #[serde(rename = "door.opened")]
        Opened { by: String, floors: Vec<u8> },
        #[serde(rename = "door \"odd\" \\ named")]
        Odd { n: i64 },
        #[serde(rename = "door.named")]
        Named(Name),
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Name {
        first: Option<String>,
    }

    impl DomainEvent for Event {
        fn event_type(&self) -> String {
            "unused".to_owned()
        }
        fn event_version(&self) -> String {
            "3".to_owned()
        }
    }

    /// Serialises as what its text says.
    #[derive(Debug, Clone, PartialEq, Deserialize)]
    struct Verbatim(String);

    impl Serialize for Verbatim {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            RawValue::from_string(self.0.clone()).map_err(serde::ser::Error::custom)?.serialize(serializer)
        }
    }

    impl DomainEvent for Verbatim {
        fn event_type(&self) -> String {
            "unused".to_owned()
        }
        fn event_version(&self) -> String {
            "1".to_owned()
        }
    }

    #[test]
    fn events_read_back_with_and_without_a_nonce() {
        let awkward = r#"a "quote", a \ and "}{" 漢"#.to_owned();
        let events = [
            Event::Opened { by: awkward.clone(), floors: vec![1, 2] },
            Event::Odd { n: -1 },
            Event::Named(Name { first: Some(awkward) }),
            Event::Named(Name { first: None }),
        ];
        for event in &events {
            for with_nonce in [false, true] {
                let draft = encode(event, with_nonce).unwrap();
                check_readable(&draft, event).unwrap();
                let whole: serde_json::Value = serde_json::to_value(event).unwrap();
                let mut payload: serde_json::Value = serde_json::from_str(&draft.payload).unwrap();
                assert_eq!(payload.as_object_mut().unwrap().remove("nonce").is_some(), with_nonce);
                assert_eq!((&whole["event_type"], &whole["payload"]), (&draft.event_type.as_str().into(), &payload));
                assert_eq!(draft.schema_version, 3);
            }
        }
    }

    #[test]
    fn forms_that_only_look_usual_are_not_cut_apart_wrongly() {
        let other_order = Verbatim(r#"{"payload":{"n":1},"event_type":"x"}"#.to_owned());
        let draft = encode(&other_order, false).unwrap();
        assert_eq!((draft.event_type.as_str(), draft.payload.as_str()), ("x", r#"{"n":1}"#));
        let third_key = Verbatim(r#"{"event_type":"x","payload":{"n":1},"more":{"n":2}}"#.to_owned());
        let draft = encode(&third_key, false).unwrap();
        assert!(decode_payload::<Event>("door \"odd\" \\ named", &draft.payload).is_err(), "{}", draft.payload);
    }

    #[test]
    fn payloads_that_are_not_one_value_do_not_read_back() {
        for payload in [r#"{"n":1}{"n":2}"#, r#"{"n":1},"more":1"#, r#"{"n":1"#, "", r#"{"m":1}"#] {
            assert!(decode_payload::<Event>("door \"odd\" \\ named", payload).is_err(), "{payload}");
        }
        assert!(decode_payload::<Event>("door.closed", "{}").is_err());
        assert_eq!(decode_payload::<Event>("door \"odd\" \\ named", " {\"n\": 1} ").unwrap(), Event::Odd { n: 1 });
    }
}
