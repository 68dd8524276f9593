//! One decoder or two in a row, and limits for their output.

use std::fmt;
use std::io;
use std::ops::Range;

use enfilade_core::{BodyError, BoxError};
use http::StatusCode;

use super::decoder::{self, Decoder, Step};
use super::plan::Codings;

/// The maximum output of a decoder at once, in bytes.
pub(super) const PIECE: usize = 16 * 1024;
/// The output that is always allowed, whatever the ratio: small bodies such as blank pictures can grow a thousandfold.
const FREE_OF_RATIO: u64 = 1024 * 1024;
/// How much longer than twice its content a compressed body may be.
const SLACK: u64 = 64 * 1024;

/// Limits for the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The maximum length of the content, in bytes.
    pub(super) limit: u64,
    /// The maximum ratio of content to compressed bytes.
    pub(super) ratio: u32,
}

impl Bounds {
    /// The maximum number of bytes that may enter, or pass between two decoders.
    ///
    /// Encoders never double their input. But formats have empty members, empty blocks and skippable frames, which are
    /// endless work without output.
    fn max_compressed(self) -> u64 {
        self.limit.saturating_mul(2).saturating_add(SLACK)
    }

    fn has_ratio(self, consumed: u64, produced: u64) -> bool {
        produced <= FREE_OF_RATIO || produced <= consumed.saturating_mul(self.ratio.into())
    }
}

/// Why content cannot be decoded. Both are the client's fault.
#[derive(Debug)]
pub(super) enum DecodeError {
    /// It is invalid for its coding, incomplete, or followed by other bytes.
    Malformed(BoxError),
    /// It is too long.
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
            DecodeError::Malformed(cause) => {
                write!(f, "the compressed content is malformed: {cause}")
            }
            DecodeError::TooLarge => f.write_str("the decompressed content is too long"),
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
    /// The number of compressed bytes that were consumed.
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

    /// The number of bytes moved so far, as a measure of the work.
    pub(super) fn moved(&self) -> u64 {
        let second = self
            .second
            .as_ref()
            .map_or(0, |second| second.layer.produced);
        self.consumed + self.first.produced + second
    }

    /// Whether more input is needed for more output.
    pub(super) fn is_starved(&self) -> bool {
        let second = self.second.as_ref();
        !self.first.has_more && second.is_none_or(SecondStage::is_starved)
    }

    /// Whether the content may end here. An empty body is valid as empty content, like without a coding.
    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        let second = self.second.as_ref().map(SecondStage::layer);
        let is_whole = self.first.ended && second.is_none_or(|layer| layer.ended);
        match is_whole || self.consumed == 0 {
            true => Ok(()),
            false => Err(DecodeError::Malformed("it is cut off".into())),
        }
    }
}

/// A decoder and its progress.
struct DecoderStage {
    decoder: Box<dyn Decoder>,
    /// The maximum output in bytes; the field after it is the output so far.
    limit: u64,
    produced: u64,
    /// Whether it filled the buffer, so that more output may wait inside.
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
        // One byte above the limit shows that the content is too long.
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
            return Err(DecodeError::Malformed(
                "its decoder makes no progress".into(),
            ));
        }
        Ok(step)
    }
}

/// A decoder after another one.
struct SecondStage {
    layer: DecoderStage,
    /// The bytes between the two.
    between: Vec<u8>,
    /// The part of them that the second decoder has not consumed yet.
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
                // If a decoder is called without input, it may report an error at some point.
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
