//! One decoder, or two behind one another, and the bounds of what comes out.

use std::fmt;
use std::io;
use std::ops::Range;

use enfilade_core::{BodyError, BoxError};
use http::StatusCode;

use super::decoder::{self, Decoder, Step};
use super::plan::Codings;

/// How many bytes come out of a decoder at once.
pub(super) const PIECE: usize = 16 * 1024;
/// So many bytes may come out of any content, however few went in: blank pictures and the like are small bodies that
/// gain a thousandfold.
const FREE_OF_RATIO: u64 = 1024 * 1024;
/// How much longer than its content coded content may be, besides being twice as long.
const SLACK: u64 = 64 * 1024;

/// How much may come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// How many bytes of content.
    pub(super) limit: u64,
    /// How many times the coded bytes.
    pub(super) ratio: u32,
}

impl Bounds {
    /// How many bytes may come in, or pass between two decoders.
    ///
    /// Coders never double what they are given; but formats have empty members and blocks, and frames to be skipped,
    /// which are work without end and of which nothing comes out.
    fn max_compressed(self) -> u64 {
        self.limit.saturating_mul(2).saturating_add(SLACK)
    }

    fn has_ratio(self, consumed: u64, produced: u64) -> bool {
        produced <= FREE_OF_RATIO || produced <= consumed.saturating_mul(self.ratio.into())
    }
}

/// Why content cannot be had. The client is to blame for either.
#[derive(Debug)]
pub(super) enum DecodeError {
    /// It is not what its coding says, it broke off, or something follows it.
    Malformed(BoxError),
    /// There is too much of it.
    TooLarge,
}

impl DecodeError {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            DecodeError::Malformed(_) => StatusCode::BAD_REQUEST,
            DecodeError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Malformed(cause) => write!(f, "the coded content is malformed: {cause}"),
            DecodeError::TooLarge => f.write_str("the coded content becomes too long"),
        }
    }
}

impl From<io::Error> for DecodeError {
    fn from(error: io::Error) -> DecodeError {
        DecodeError::Malformed(error.into())
    }
}

impl From<DecodeError> for BodyError {
    fn from(error: DecodeError) -> BodyError {
        match error {
            DecodeError::Malformed(_) => BodyError::new(error.to_string()),
            DecodeError::TooLarge => BodyError::too_large(),
        }
    }
}

/// The decoders of a body.
pub(super) struct DecoderChain {
    first: DecoderStage,
    second: Option<SecondStage>,
    bounds: Bounds,
    /// How many coded bytes were taken.
    consumed: u64,
}

impl DecoderChain {
    pub(super) fn new(codings: Codings, bounds: Bounds) -> io::Result<DecoderChain> {
        let (between, last) = (bounds.max_compressed(), bounds.limit);
        let limit = match codings.then {
            Some(_) => between,
            None => last,
        };
        let second = codings.then.map(|coding| -> io::Result<SecondStage> {
            Ok(SecondStage {
                layer: DecoderStage::new(decoder::new(coding)?, last),
                between: vec![0; PIECE],
                waiting: 0..0,
            })
        });
        Ok(DecoderChain {
            first: DecoderStage::new(decoder::new(codings.first)?, limit),
            second: second.transpose()?,
            bounds,
            consumed: 0,
        })
    }

    /// Decodes some of `compressed` into `room`, which is not empty.
    pub(super) fn decode(
        &mut self,
        compressed: &[u8],
        room: &mut [u8],
    ) -> Result<Step, DecodeError> {
        let step = match &mut self.second {
            None => self.first.decode(compressed, room)?,
            Some(second) => second.decode(&mut self.first, compressed, room)?,
        };
        self.consumed += step.consumed as u64;
        let layers = [
            Some(&self.first),
            self.second.as_ref().map(SecondStage::layer),
        ];
        let mut layers = layers.into_iter().flatten();
        let has_ratio = layers.all(|layer| self.bounds.has_ratio(self.consumed, layer.produced));
        match has_ratio && self.consumed <= self.bounds.max_compressed() {
            true => Ok(step),
            false => Err(DecodeError::TooLarge),
        }
    }

    /// How many bytes were moved so far, as a measure of the work.
    pub(super) fn moved(&self) -> u64 {
        let second = self
            .second
            .as_ref()
            .map_or(0, |second| second.layer.produced);
        self.consumed + self.first.produced + second
    }

    /// Whether nothing more can come out before something goes in.
    pub(super) fn is_starved(&self) -> bool {
        let second = self.second.as_ref();
        !self.first.has_more && second.is_none_or(SecondStage::is_starved)
    }

    /// Whether the content may end here. Nothing at all is content of no bytes, as it is without a coding.
    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        let second = self.second.as_ref().map(SecondStage::layer);
        let is_whole = self.first.ended && second.is_none_or(|layer| layer.ended);
        match is_whole || self.consumed == 0 {
            true => Ok(()),
            false => Err(DecodeError::Malformed("it is cut off".into())),
        }
    }
}

/// A decoder, and how far it is.
struct DecoderStage {
    decoder: Box<dyn Decoder>,
    /// How many bytes may come out, and have.
    limit: u64,
    produced: u64,
    /// Whether it filled the room, so that more may be waiting inside.
    has_more: bool,
    ended: bool,
}

impl DecoderStage {
    fn new(decoder: Box<dyn Decoder>, limit: u64) -> DecoderStage {
        DecoderStage {
            decoder,
            limit,
            produced: 0,
            has_more: false,
            ended: false,
        }
    }

    fn decode(&mut self, compressed: &[u8], room: &mut [u8]) -> Result<Step, DecodeError> {
        if self.ended {
            if compressed.is_empty() {
                return Ok(Step::default());
            }
            self.decoder.restart()?;
            self.ended = false;
        }
        // One byte more than there may be tells that there are too many.
        let left = (self.limit - self.produced).saturating_add(1);
        let length = room.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let room = room.get_mut(..length).unwrap_or_default();
        let step = self.decoder.decode(compressed, room)?;
        self.produced += step.produced as u64;
        self.ended = step.ended;
        self.has_more = step.produced == length && !step.ended;
        if self.produced > self.limit {
            return Err(DecodeError::TooLarge);
        }
        if step == Step::default() && !compressed.is_empty() {
            return Err(DecodeError::Malformed("its decoder does not go on".into()));
        }
        Ok(step)
    }
}

/// A decoder behind another.
struct SecondStage {
    layer: DecoderStage,
    /// What passes between the two.
    between: Vec<u8>,
    /// The part of it that the second one has not taken yet.
    waiting: Range<usize>,
}

impl SecondStage {
    fn layer(&self) -> &DecoderStage {
        &self.layer
    }

    fn is_starved(&self) -> bool {
        self.waiting.is_empty() && !self.layer.has_more
    }

    fn decode(
        &mut self,
        first: &mut DecoderStage,
        compressed: &[u8],
        room: &mut [u8],
    ) -> Result<Step, DecodeError> {
        let mut consumed = 0;
        if self.is_starved() {
            let step = first.decode(compressed, &mut self.between)?;
            consumed = step.consumed;
            self.waiting = 0..step.produced;
            if self.waiting.is_empty() {
                // A decoder that is asked for something out of nothing takes that for a mistake at some time.
                return Ok(Step {
                    produced: 0,
                    ..step
                });
            }
        }
        let waiting = self.between.get(self.waiting.clone()).unwrap_or_default();
        let step = self.layer.decode(waiting, room)?;
        self.waiting.start += step.consumed;
        Ok(Step { consumed, ..step })
    }
}
