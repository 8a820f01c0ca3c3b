//! Whether a zip file says the same to every program that reads it.
//!
//! Programs find the files in it in different ways: by the directory at its end, by the header before each file, from the
//! front or from the back. A file that was made to show one thing here and another there is refused: its files must fill it
//! from the first byte to the directory, the directory must end it, and both must say the same of each.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use crate::cell::Cell;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const WIDE_END: u32 = 0x0606_4b50;
const WIDE_LOCATOR: u32 = 0x0706_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
const LOCAL_BYTES: usize = 30;
const CENTRAL_BYTES: usize = 46;
const END_BYTES: usize = 22;
const WIDE_END_BYTES: usize = 56;
const WIDE_LOCATOR_BYTES: usize = 20;
/// The sizes of a file stand behind it.
const HAS_DESCRIPTOR: u16 = 1 << 3;
/// How hard it was compressed, which changes nothing.
const EFFORT: u16 = 0b110;
/// Names are UTF-8.
const IS_UTF8: u16 = 1 << 11;
/// Extra field with sizes of more than 32 bits.
const WIDE: u16 = 0x0001;
/// Extra fields with another name and another comment for programs that know them.
const OTHER_TEXTS: [u16; 2] = [0x7075, 0x6375];

/// Why a layout is refused, or that it could not be looked at.
enum Fault {
    Unreadable(io::Error),
    Refused(String),
}

type Found<T> = Result<T, Fault>;

/// What is wrong with the layout of a zip file, where `archive` is how it is read here; none where nothing is.
pub(super) fn complaint<R>(path: &Path, archive: &ZipArchive<R>) -> io::Result<Option<String>>
where
    R: Read + io::Seek,
{
    match check(path, archive) {
        Ok(()) => Ok(None),
        Err(Fault::Refused(what)) => Ok(Some(what)),
        Err(Fault::Unreadable(error)) => Err(error),
    }
}

fn check<R: Read + io::Seek>(path: &Path, archive: &ZipArchive<R>) -> Found<()> {
    let mut bytes = Bytes::open(path).map_err(Fault::Unreadable)?;
    let directory = bytes.directory()?;
    let mut files = bytes.listed(&directory)?;
    let mut names = HashSet::new();
    if let Some(twice) = files.iter().find(|file| !names.insert(file.name.as_slice())) {
        return Err(refused(format!("there are two files of the name {}", shown(&twice.name))));
    }
    let read_here = (archive.offset(), archive.central_directory_start(), archive.len() as u64);
    if read_here != (0, directory.start, directory.files) {
        return Err(refused("it has more than one directory"));
    }
    files.sort_unstable_by_key(|file| file.start);
    let mut place = 0;
    let ends = files.iter().skip(1).map(|next| next.start).chain([directory.start]);
    for (file, end) in files.iter().zip(ends) {
        if file.start != place {
            return Err(refused(format!("there is something before {} that is no file of it", shown(&file.name))));
        }
        bytes.file(file, end)?;
        place = end;
    }
    match place == directory.start {
        true => Ok(()),
        false => Err(refused("there is something before its directory that is no file of it")),
    }
}

fn refused(what: impl Into<String>) -> Fault {
    Fault::Refused(format!("the zip file can be read in more than one way: {}", what.into()))
}

fn shown(name: &[u8]) -> Cell<'_> {
    Cell::Text(name)
}

/// Where the directory stands.
struct Directory {
    start: u64,
    end: u64,
    files: u64,
}

/// A file as the directory lists it.
struct Listed {
    name: Vec<u8>,
    start: u64,
    header: Header,
}

/// What the directory and the header before a file both say of it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Header {
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    unpacked: u64,
}

/// The bytes of the zip file.
struct Bytes {
    input: BufReader<File>,
    place: u64,
    length: u64,
}

impl Bytes {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { input: BufReader::new(file), place: 0, length })
    }

    fn read(&mut self, from: u64, count: usize) -> Found<Vec<u8>> {
        let end = from.checked_add(count as u64).filter(|end| *end <= self.length);
        let end = end.ok_or_else(|| refused("it refers to what is beyond its end"))?;
        let mut bytes = vec![0; count];
        // Seeking throws away what was read ahead.
        if from != self.place {
            self.input.seek(SeekFrom::Start(from)).map_err(Fault::Unreadable)?;
        }
        self.input.read_exact(&mut bytes).map_err(Fault::Unreadable)?;
        self.place = end;
        Ok(bytes)
    }

    /// The directory by the record that must be the last of the file: nothing stands behind it, not even a comment.
    fn directory(&mut self) -> Found<Directory> {
        let end = self.length.checked_sub(END_BYTES as u64).ok_or_else(|| refused("it is too short"))?;
        let last = self.read(end, END_BYTES)?;
        let narrow = Numbers(&last).end().ok_or_else(|| refused("there is something behind its directory"))?;
        let locator = end.saturating_sub(WIDE_LOCATOR_BYTES as u64);
        let found = self.read(locator, WIDE_LOCATOR_BYTES.min(usize::try_from(end).unwrap_or(usize::MAX)))?;
        let directory = match Numbers(&found).locator() {
            None => {
                let [files, size, start] = narrow;
                Directory { start, end: start.saturating_add(size), files }.up_to(end)
            }
            Some(record) => {
                let wide = self.read(record, WIDE_END_BYTES)?;
                let wide = Numbers(&wide).wide_end().filter(|_| record + WIDE_END_BYTES as u64 == locator);
                wide.filter(|wide| {
                    let most = [u64::from(u16::MAX), u64::from(u32::MAX), u64::from(u32::MAX)];
                    wide.iter().zip(narrow).zip(most).all(|((wide, narrow), most)| [*wide, most].contains(&narrow))
                })
                .and_then(|[files, size, start]| {
                    Directory { start, end: start.saturating_add(size), files }.up_to(record)
                })
            }
        };
        directory.ok_or_else(|| refused("its directory is not where its end says, or there is something before it"))
    }

    /// The files in the directory, in its order.
    fn listed(&mut self, directory: &Directory) -> Found<Vec<Listed>> {
        let (mut files, mut place) = (Vec::new(), directory.start);
        while place < directory.end {
            let bytes = self.read(place, CENTRAL_BYTES)?;
            let mut numbers = Numbers(&bytes);
            let central =
                numbers.central().ok_or_else(|| refused("its directory has a line that is none of a file"))?;
            let name = self.read(place + CENTRAL_BYTES as u64, central.name)?;
            let extra = self.read(self.place, central.extra)?;
            let start = u64::from(central.start);
            let wide = wider(&extra, [central.unpacked, central.packed, central.start]);
            let [unpacked, packed, start] = wide.ok_or_else(|| unclear(&name)).map(|[unpacked, packed, wide]| {
                [unpacked, packed, if central.start == u32::MAX { wide } else { start }]
            })?;
            let header = Header { flags: central.flags, method: central.method, crc: central.crc, packed, unpacked };
            let is_plain = header.flags & !(HAS_DESCRIPTOR | EFFORT | IS_UTF8) == 0 && [0, 8].contains(&header.method);
            if !is_plain {
                return Err(refused(format!("{} is neither stored nor deflated, or encrypted", shown(&name))));
            }
            place = self.place;
            files.push(Listed { name, start, header });
        }
        match place == directory.end && files.len() as u64 == directory.files {
            true => Ok(files),
            false => Err(refused("its directory does not have as many files as its end says")),
        }
    }

    /// Compares a file with what the directory says of it. It must go on to `end` and no further.
    fn file(&mut self, file: &Listed, end: u64) -> Found<()> {
        let differs = || refused(format!("the header before {} is not that of the directory", shown(&file.name)));
        let bytes = self.read(file.start, LOCAL_BYTES)?;
        let local = Numbers(&bytes).local().ok_or_else(differs)?;
        let name = self.read(self.place, local.name)?;
        let extra = self.read(self.place, local.extra)?;
        let [unpacked, packed, _] =
            wider(&extra, [local.unpacked, local.packed, 0]).ok_or_else(|| unclear(&file.name))?;
        let (is, has_descriptor) = (file.header, file.header.flags & HAS_DESCRIPTOR != 0);
        // Where sizes stand behind the file, zeros may stand for them before it.
        let said = |here: u64, there: u64| here == there || (has_descriptor && here == 0);
        let is_same = name == file.name
            && local.method == is.method
            && (local.flags ^ is.flags) & !EFFORT == 0
            && said(local.crc.into(), is.crc.into())
            && said(packed, is.packed)
            && said(unpacked, is.unpacked);
        if !is_same {
            return Err(differs());
        }
        let rest = self.place.checked_add(is.packed).and_then(|content| Some((content, end.checked_sub(content)?)));
        let is_filled = match rest {
            None => false,
            Some((_, 0)) => !has_descriptor,
            Some((content, rest)) => {
                has_descriptor
                    && rest <= 24
                    && is.descriptors().contains(&self.read(content, usize::try_from(rest).unwrap_or(24))?)
            }
        };
        match is_filled {
            true => Ok(()),
            false => Err(refused(format!("{} does not end where the next begins", shown(&file.name)))),
        }
    }
}

fn unclear(name: &[u8]) -> Fault {
    refused(format!("{} has a second name, or sizes that cannot be read", shown(name)))
}

impl Directory {
    fn up_to(self, end: u64) -> Option<Self> {
        (self.end == end).then_some(self)
    }
}

impl Header {
    /// What may stand behind the file: checksum and sizes, with a mark or without.
    fn descriptors(&self) -> [Vec<u8>; 4] {
        let wide =
            [self.crc.to_le_bytes().as_slice(), &self.packed.to_le_bytes(), &self.unpacked.to_le_bytes()].concat();
        // Sizes beyond 32 bits cannot stand in the shorter form; then it is the longer one again.
        let narrow = match (u32::try_from(self.packed), u32::try_from(self.unpacked)) {
            (Ok(packed), Ok(unpacked)) => [self.crc, packed, unpacked].map(u32::to_le_bytes).concat(),
            _ => wide.clone(),
        };
        let marked = |plain: &[u8]| [DESCRIPTOR.to_le_bytes().as_slice(), plain].concat();
        [marked(&narrow), marked(&wide), narrow, wide]
    }
}

/// Numbers one after the other, least byte first.
struct Numbers<'a>(&'a [u8]);

/// The fixed part of a line of the directory, or of the header before a file.
struct Fixed {
    flags: u16,
    method: u16,
    crc: u32,
    packed: u32,
    unpacked: u32,
    name: usize,
    extra: usize,
    start: u32,
}

impl Numbers<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn is(&mut self, mark: u32) -> Option<()> {
        (self.u32()? == mark).then_some(())
    }

    /// Files, size and start of the directory.
    fn end(mut self) -> Option<[u64; 3]> {
        self.is(END)?;
        let (disks, here, files) = ([self.u16()?, self.u16()?], self.u16()?, self.u16()?);
        let (size, start, comment) = (self.u32()?, self.u32()?, self.u16()?);
        (disks == [0, 0] && here == files && comment == 0).then_some([files.into(), size.into(), start.into()])
    }

    /// Where the wider end is.
    fn locator(mut self) -> Option<u64> {
        self.is(WIDE_LOCATOR)?;
        let (_disk, record, _disks) = (self.u32()?, self.u64()?, self.u32()?);
        Some(record)
    }

    /// Files, size and start of the directory.
    fn wide_end(mut self) -> Option<[u64; 3]> {
        self.is(WIDE_END)?;
        let (length, _versions, disks) = (self.u64()?, self.u32()?, [self.u32()?, self.u32()?]);
        let (here, files, size, start) = (self.u64()?, self.u64()?, self.u64()?, self.u64()?);
        let is_sound = length == WIDE_END_BYTES as u64 - 12 && disks == [0, 0] && here == files;
        is_sound.then_some([files, size, start])
    }

    fn central(&mut self) -> Option<Fixed> {
        self.is(CENTRAL)?;
        self.u16()?;
        let mut fixed = self.fixed()?;
        let (comment, disk, _internal, _external) = (self.u16()?, self.u16()?, self.u16()?, self.u32()?);
        fixed.start = self.u32()?;
        (comment == 0 && disk == 0).then_some(fixed)
    }

    fn local(mut self) -> Option<Fixed> {
        self.is(LOCAL)?;
        self.fixed()
    }

    fn fixed(&mut self) -> Option<Fixed> {
        let (_version, flags, method, _time) = (self.u16()?, self.u16()?, self.u16()?, self.u32()?);
        let (crc, packed, unpacked) = (self.u32()?, self.u32()?, self.u32()?);
        let (name, extra) = (self.u16()?.into(), self.u16()?.into());
        Some(Fixed { flags, method, crc, packed, unpacked, name, extra, start: 0 })
    }
}

/// Sizes and start of a file, from the extra field for wider ones where they do not fit; none where that is not plain.
fn wider(extra: &[u8], narrow: [u32; 3]) -> Option<[u64; 3]> {
    let (mut rest, mut wide) = (Numbers(extra), None);
    while !rest.0.is_empty() {
        let (kind, length) = (rest.u16()?, rest.u16()?);
        let (field, others) = rest.0.split_at_checked(length.into())?;
        rest.0 = others;
        let is_second = kind == WIDE && wide.replace(field).is_some();
        if is_second || OTHER_TEXTS.contains(&kind) {
            return None;
        }
    }
    let mut wide = Numbers(wide.unwrap_or_default());
    let mut sizes = [0; 3];
    for (size, narrow) in sizes.iter_mut().zip(narrow) {
        *size = if narrow == u32::MAX { wide.u64()? } else { narrow.into() };
    }
    Some(sizes)
}

/// Unpacks a file, of which at most `most` bytes are looked at; whether that was all of it. An error is what is wrong with it,
/// also where it is unpacked and is not what the directory states: what stands behind the end of deflated content is read
/// on by programs that go by the content.
pub(super) fn unpack<R: Read + io::Seek>(
    archive: &mut ZipArchive<R>,
    index: usize,
    most: u64,
    mut each: impl FnMut(&[u8]),
) -> Result<bool, String> {
    let file = archive.by_index_raw(index).map_err(|error| format!("the file cannot be unpacked: {error}"))?;
    let (packed, unpacked, stated, method) = (file.compressed_size(), file.size(), file.crc32(), file.compression());
    let (mut length, mut crc, mut buffer) = (0_u64, Crc::new(), vec![0; 64 << 10]);
    let mut all = |content: &mut dyn Read| loop {
        match content.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(read) => {
                let piece = buffer.get(..read).unwrap_or_default();
                length = length.saturating_add(piece.len() as u64);
                crc.update(piece);
                each(piece);
            }
            Err(error) => return Err(format!("the file cannot be unpacked: {error}")),
        }
        if length > most {
            return Ok(false);
        }
    };
    let mut content = BufReader::with_capacity(64 << 10, file);
    let (is_all, taken) = match method {
        CompressionMethod::Deflated => {
            let mut content = DeflateDecoder::new(content);
            (all(&mut content)?, content.total_in())
        }
        _ => (all(&mut content)?, packed),
    };
    if is_all && (taken, length, crc.sum()) != (packed, unpacked, stated) {
        return Err("the file has another length or checksum than the directory says".to_owned());
    }
    Ok(is_all)
}
