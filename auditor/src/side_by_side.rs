//! BLAKE3 of many short inputs, several at once.
//!
//! `blake3::hash` uses the processor's vector registers inside one input, chunk beside chunk of 1,024 bytes. What an entry is
//! hashed over is mostly shorter than one chunk, so all but one of the lanes would lie idle. Here inputs of the same number
//! of blocks are hashed side by side, a lane each: every block but the last, which may be shorter than 64 bytes and is
//! compressed on its own.
//!
//! The functions that do this are public in `blake3` and not documented: it makes no promise to keep them. Nothing else
//! uses them, and a test holds every length up to three chunks against `blake3::hash`.

use blake3::IncrementCounter;
use blake3::platform::{Platform, le_bytes_from_words_32, words_from_le_bytes_32};

use crate::cell::Digest;

/// Bytes of a chunk, beyond which an input is hashed on its own.
pub(crate) const CHUNK_BYTES: usize = blake3::CHUNK_LEN;
const BLOCK_BYTES: usize = blake3::BLOCK_LEN;
/// Inputs hashed at once, at most: as many as the widest vector has lanes.
const LANES: usize = 16;
/// Full blocks before the last block of a chunk.
const MOST_BLOCKS: usize = CHUNK_BYTES / BLOCK_BYTES - 1;

/// The initial chaining value, and the flags: section 2.2 and table 3 of the BLAKE3 paper.
const INITIAL: [u32; 8] =
    [0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19];
const CHUNK_START: u8 = 1 << 0;
const CHUNK_END: u8 = 1 << 1;
const ROOT: u8 = 1 << 3;

/// Hashes inputs together; keeps its buffers for the next ones.
#[derive(Debug)]
pub(crate) struct SideBySide {
    platform: Platform,
    /// Which inputs have so many full blocks before their last block, from one block on.
    by_blocks: [Vec<usize>; MOST_BLOCKS],
}

impl Default for SideBySide {
    fn default() -> Self {
        Self { platform: Platform::detect(), by_blocks: Default::default() }
    }
}

impl SideBySide {
    /// BLAKE3 of each input, in the place that it has among the inputs.
    pub(crate) fn hash(&mut self, inputs: &[&[u8]], digests: &mut Vec<Digest>) {
        digests.clear();
        for (index, input) in inputs.iter().enumerate() {
            let blocks = input.len().saturating_sub(1) / BLOCK_BYTES;
            digests.push(match blocks.checked_sub(1).map(|place| self.by_blocks.get_mut(place)) {
                None => last_block(self.platform, INITIAL, input, CHUNK_START),
                Some(Some(alike)) => {
                    alike.push(index);
                    Digest::default()
                }
                Some(None) => *blake3::hash(input).as_bytes(),
            });
        }
        for blocks in 1..=MOST_BLOCKS {
            let Some(alike) = self.by_blocks.get_mut(blocks - 1) else { break };
            let hash = match blocks {
                1 => alike_hashes::<64>,
                2 => alike_hashes::<128>,
                3 => alike_hashes::<192>,
                4 => alike_hashes::<256>,
                5 => alike_hashes::<320>,
                6 => alike_hashes::<384>,
                7 => alike_hashes::<448>,
                8 => alike_hashes::<512>,
                9 => alike_hashes::<576>,
                10 => alike_hashes::<640>,
                11 => alike_hashes::<704>,
                12 => alike_hashes::<768>,
                13 => alike_hashes::<832>,
                14 => alike_hashes::<896>,
                _ => alike_hashes::<960>,
            };
            alike.chunks(LANES).for_each(|some| hash(self.platform, inputs, some, digests));
            alike.clear();
        }
    }
}

/// Hashes up to [`LANES`] inputs, each of `FULL` bytes of full blocks and a last block.
fn alike_hashes<const FULL: usize>(platform: Platform, inputs: &[&[u8]], alike: &[usize], digests: &mut [Digest]) {
    let mut full = [&[0; FULL]; LANES];
    let mut last = [[].as_slice(); LANES];
    for ((index, full), last) in alike.iter().zip(&mut full).zip(&mut last) {
        if let Some((first, rest)) = inputs.get(*index).and_then(|input| input.split_first_chunk::<FULL>()) {
            (*full, *last) = (first, rest);
        }
    }
    let mut chained = [Digest::default(); LANES];
    let full = full.get(..alike.len()).unwrap_or(&full);
    let (counter, flags) = ((0, IncrementCounter::No), (0, CHUNK_START, 0));
    let out = chained.as_flattened_mut();
    platform.hash_many(full, &INITIAL, counter.0, counter.1, flags.0, flags.1, flags.2, out);
    for ((index, chained), last) in alike.iter().zip(&chained).zip(last) {
        if let Some(digest) = digests.get_mut(*index) {
            *digest = last_block(platform, words_from_le_bytes_32(chained), last, 0);
        }
    }
}

/// The hash of an input whose last block this is, of at most 64 bytes.
fn last_block(platform: Platform, mut chained: [u32; 8], last: &[u8], flags: u8) -> Digest {
    let mut block = [0; BLOCK_BYTES];
    if let Some(place) = block.get_mut(..last.len()) {
        place.copy_from_slice(last);
    }
    let length = u8::try_from(last.len()).unwrap_or(u8::MAX);
    platform.compress_in_place(&mut chained, &block, length, 0, flags | CHUNK_END | ROOT);
    le_bytes_from_words_32(&chained)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of vector that this processor has, and none.
    fn platforms() -> Vec<Platform> {
        let mut platforms = vec![Platform::portable(), Platform::detect()];
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        platforms.extend([Platform::sse2(), Platform::sse41(), Platform::avx2()].into_iter().flatten());
        platforms
    }

    fn agree(platform: Platform, inputs: &[&[u8]]) {
        let mut side_by_side = SideBySide { platform, ..SideBySide::default() };
        let mut digests = vec![[7; 32]; 3];
        for _ in 0..2 {
            side_by_side.hash(inputs, &mut digests);
            assert_eq!(digests.len(), inputs.len());
            for (input, digest) in inputs.iter().zip(&digests) {
                assert_eq!(*digest, *blake3::hash(input).as_bytes(), "{} bytes on {platform:?}", input.len());
            }
        }
    }

    #[test]
    fn every_length_up_to_three_chunks_comes_to_the_same_as_alone() {
        let bytes: Vec<u8> = (0..3 * CHUNK_BYTES).map(|index| (index * 31 % 251) as u8).collect();
        let inputs: Vec<&[u8]> = (0..=bytes.len()).map(|length| &bytes[..length]).collect();
        platforms().into_iter().for_each(|platform| agree(platform, &inputs));
    }

    #[test]
    fn inputs_of_one_length_are_kept_apart_however_many_lanes_they_fill() {
        let inputs: Vec<Vec<u8>> = (0..40_u8).map(|number| vec![number; 431]).collect();
        for platform in platforms() {
            for count in 0..=inputs.len() {
                let inputs: Vec<&[u8]> = inputs[..count].iter().map(Vec::as_slice).collect();
                agree(platform, &inputs);
            }
        }
    }
}
