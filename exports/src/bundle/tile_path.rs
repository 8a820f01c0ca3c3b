//! How a tile is named (C2SP `tlog-tiles`), in URLs and in bundles.

use daybook_ledger::tiles::TILE_WIDTH;

/// The last part of a tile's path: `x001/x234/067`, or with `.p/12` for a partial tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TilePath {
    /// Place among the tiles of its level.
    pub index: u64,
    /// Hashes or entries: 1 to 256.
    pub width: usize,
}

impl TilePath {
    /// Reads it; `None` for anything but the one way in which a tile is written.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, width) = match text.split_once(".p/") {
            None => (text, TILE_WIDTH),
            Some((number, width)) => (number, width.parse().ok().filter(|width| (1..TILE_WIDTH).contains(width))?),
        };
        let mut index = 0_u64;
        for group in number.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            index = index.checked_mul(1_000)?.checked_add(digits.parse().ok().filter(|group| *group < 1_000)?)?;
        }
        let path = Self { index, width };
        // Zeros, signs and letters in the wrong place: all of them are written differently.
        (path.to_string() == text).then_some(path)
    }

    /// True for all of 256.
    pub fn is_complete(self) -> bool {
        self.width == TILE_WIDTH
    }
}

impl std::fmt::Display for TilePath {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut groups = vec![self.index % 1_000];
        let mut rest = self.index / 1_000;
        while rest > 0 {
            groups.push(rest % 1_000);
            rest /= 1_000;
        }
        for (place, group) in groups.iter().enumerate().rev() {
            match place {
                0 => write!(formatter, "{group:03}")?,
                _ => write!(formatter, "x{group:03}/")?,
            }
        }
        if self.is_complete() { Ok(()) } else { write!(formatter, ".p/{}", self.width) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_they_are_written() {
        for (text, index, width) in [
            ("000", 0, 256),
            ("067", 67, 256),
            ("999.p/255", 999, 255),
            ("x001/000", 1_000, 256),
            ("x001/x234/067.p/1", 1_234_067, 1),
            ("x018/x446/x744/x073/x709/x551/615", u64::MAX, 256),
        ] {
            let path = TilePath { index, width };
            assert_eq!((TilePath::parse(text), path.to_string().as_str()), (Some(path), text));
        }
    }

    #[test]
    fn every_other_way_of_writing_is_refused() {
        for text in [
            "",
            "0",
            "00",
            "0000",
            "67",
            "+67",
            "-01",
            "x067",
            "X001/234",
            "x000/067",
            "001/067",
            "x001/x067",
            "x001/67",
            "x001/",
            "/067",
            "x1/067",
            "x0001/067",
            "067.p/0",
            "067.p/256",
            "067.p/01",
            "067.p/+1",
            "067.p/",
            "067.p",
            "067.p/1.p/1",
            "067.p/1/",
            "067/1",
            "..",
            "x001/..",
            "x001%2F067",
            "067 ",
            "０67",
            "067.P/1",
            "x001/x/067",
            "x018/x446/x744/x073/x709/x551/616",
            "x999/x999/x999/x999/x999/x999/x999/999",
            "067\u{0}",
        ] {
            assert_eq!(TilePath::parse(text), None, "{text:?}");
        }
    }
}
