//! Cuts a stream of bytes into items without holding more than one of them: lines, or the elements of a JSON array.
//!
//! It knows quotes and brackets, not JSON: what an item says, and whether it is JSON at all, is found out when it is read.

use std::mem;

/// Most bytes of one item.
pub const MAX_ITEM_BYTES: usize = 256 * 1024;

/// How the items are separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separation {
    /// One item a line; empty lines are none.
    Lines,
    /// A JSON array.
    Array,
}

/// An item that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// 1-based number of the line, or of the element of the array.
    pub number: u64,
    /// Its bytes; `None` where there were more than [`MAX_ITEM_BYTES`].
    pub bytes: Option<Vec<u8>>,
}

/// The stream itself is broken: what follows cannot be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Something stands before the array.
    #[error("the body must be a JSON array")]
    NotAnArray,
    /// Something stands after the array.
    #[error("something follows the end of the array")]
    AfterTheEnd,
    /// The body ends before the array does.
    #[error("the body ends within the array")]
    Truncated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    BeforeArray,
    /// In an element; `first` until something but white space came, `depth` of open brackets.
    InItem {
        first: bool,
        depth: u32,
    },
    InString {
        depth: u32,
        escaped: bool,
    },
    AfterArray,
}

/// Cuts one stream.
#[derive(Debug)]
pub struct Splitter {
    separation: Separation,
    place: Place,
    number: u64,
    item: Vec<u8>,
    overlong: bool,
}

impl Splitter {
    /// At the start of a stream.
    pub fn new(separation: Separation) -> Self {
        Self { separation, place: Place::BeforeArray, number: 1, item: Vec::new(), overlong: false }
    }

    /// Number of the item that comes next or has begun.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Takes bytes and adds the items that are complete with them.
    pub fn feed(&mut self, bytes: &[u8], found: &mut Vec<Item>) -> Result<(), Broken> {
        match self.separation {
            Separation::Lines => {
                let mut rest = bytes;
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let (line, after) = rest.split_at(end);
                    self.push_all(line);
                    self.complete_line(found);
                    rest = after.get(1..).unwrap_or_default();
                }
                self.push_all(rest);
                Ok(())
            }
            Separation::Array => bytes.iter().try_for_each(|byte| self.step(*byte, found)),
        }
    }

    /// Ends the stream.
    pub fn finish(&mut self, found: &mut Vec<Item>) -> Result<(), Broken> {
        match (self.separation, self.place) {
            (Separation::Lines, _) => {
                self.complete_line(found);
                Ok(())
            }
            (Separation::Array, Place::AfterArray) => Ok(()),
            (Separation::Array, Place::BeforeArray) => Err(Broken::NotAnArray),
            (Separation::Array, _) => Err(Broken::Truncated),
        }
    }

    fn complete_line(&mut self, found: &mut Vec<Item>) {
        if self.overlong || !self.item.iter().all(u8::is_ascii_whitespace) {
            self.complete(found);
        } else {
            self.item.clear();
            self.number += 1;
        }
    }

    fn complete(&mut self, found: &mut Vec<Item>) {
        let bytes = mem::take(&mut self.item);
        found.push(Item { number: self.number, bytes: (!self.overlong).then_some(bytes) });
        self.overlong = false;
        self.number += 1;
    }

    fn push_all(&mut self, bytes: &[u8]) {
        if self.overlong || self.item.len() + bytes.len() > MAX_ITEM_BYTES {
            self.overlong = true;
            self.item = Vec::new();
        } else {
            self.item.extend_from_slice(bytes);
        }
    }

    fn step(&mut self, byte: u8, found: &mut Vec<Item>) -> Result<(), Broken> {
        let white = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        match self.place {
            Place::BeforeArray => match byte {
                b'[' => self.place = Place::InItem { first: true, depth: 0 },
                _ if white => {}
                _ => return Err(Broken::NotAnArray),
            },
            Place::AfterArray if white => {}
            Place::AfterArray => return Err(Broken::AfterTheEnd),
            Place::InString { depth, escaped } => {
                self.push_all(&[byte]);
                self.place = match byte {
                    b'"' if !escaped => Place::InItem { first: false, depth },
                    _ => Place::InString { depth, escaped: byte == b'\\' && !escaped },
                };
            }
            Place::InItem { first, depth } => self.step_in_item(byte, white, first, depth, found),
        }
        Ok(())
    }

    fn step_in_item(&mut self, byte: u8, white: bool, first: bool, depth: u32, found: &mut Vec<Item>) {
        match byte {
            b']' if depth == 0 => {
                // `[]` has no element; `[1,]` has one that is empty, and so not JSON.
                if !(first && self.number == 1) {
                    self.complete(found);
                }
                self.place = Place::AfterArray;
                return;
            }
            b',' if depth == 0 => {
                self.complete(found);
                self.place = Place::InItem { first: true, depth: 0 };
                return;
            }
            _ if white && first => return,
            b'"' => self.place = Place::InString { depth, escaped: false },
            b'[' | b'{' => self.place = Place::InItem { first: false, depth: depth.saturating_add(1) },
            b']' | b'}' => self.place = Place::InItem { first: false, depth: depth.saturating_sub(1) },
            _ => self.place = Place::InItem { first: false, depth },
        }
        self.push_all(&[byte]);
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    type Found = Vec<(u64, Option<String>)>;

    /// Feeds `step` bytes at a time.
    fn split(separation: Separation, text: &[u8], step: usize) -> (Found, Result<(), Broken>) {
        let (mut splitter, mut found) = (Splitter::new(separation), Vec::new());
        let mut result = Ok(());
        for bytes in text.chunks(step) {
            result = result.and_then(|()| splitter.feed(bytes, &mut found));
        }
        let result = result.and_then(|()| splitter.finish(&mut found));
        let items = found
            .into_iter()
            .map(|item| (item.number, item.bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned())))
            .collect();
        (items, result)
    }

    fn some(number: u64, text: &str) -> (u64, Option<String>) {
        (number, Some(text.to_owned()))
    }

    #[test]
    fn lines_are_numbered_and_empty_ones_passed_over() {
        for step in [1, 2, 3, 100] {
            let (items, result) = split(Separation::Lines, b"{\"a\":1}\r\n\n  \n{\"b\":2}\nlast", step);
            assert_eq!(items, vec![some(1, "{\"a\":1}"), some(4, "{\"b\":2}"), some(5, "last")]);
            assert_eq!(result, Ok(()));
        }
    }

    #[test]
    fn elements_are_cut_at_their_own_commas() {
        let text = br#" [ {"a":"],\"[","b":[1,{"c":2}]} , "x,\\", 3,[] ] "#;
        for step in [1, 2, 7, 100] {
            let (items, result) = split(Separation::Array, text, step);
            let wanted =
                vec![some(1, r#"{"a":"],\"[","b":[1,{"c":2}]}"#), some(2, r#""x,\\""#), some(3, "3"), some(4, "[]")];
            assert_eq!((items, result), (wanted, Ok(())));
        }
    }

    #[test]
    fn broken_arrays_are_told_from_whole_ones() {
        let result = |text: &[u8]| split(Separation::Array, text, 3).1;
        assert_eq!(result(b"[]"), Ok(()));
        assert_eq!(result(b"{}"), Err(Broken::NotAnArray));
        assert_eq!(result(b""), Err(Broken::NotAnArray));
        assert_eq!(result(b"[1,2"), Err(Broken::Truncated));
        assert_eq!(result(b"[\"]"), Err(Broken::Truncated));
        assert_eq!(result(b"[1] x"), Err(Broken::AfterTheEnd));
        assert_eq!(split(Separation::Array, b"[1,]", 4).0, vec![some(1, "1"), some(2, "")]);
        assert_eq!(split(Separation::Array, b"[]", 4).0, vec![]);
    }

    #[test]
    fn overlong_item_is_dropped_and_the_next_one_found() {
        let long = "x".repeat(MAX_ITEM_BYTES + 1);
        let lines = format!("{long}\n1\n");
        assert_eq!(split(Separation::Lines, lines.as_bytes(), 1_000).0, vec![(1, None), some(2, "1")]);
        let array = format!("[\"{long}\",1]");
        assert_eq!(split(Separation::Array, array.as_bytes(), 1_000).0, vec![(1, None), some(2, "1")]);
    }
}
