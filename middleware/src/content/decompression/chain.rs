//! One decoder, or two behind one another, and the bounds of what comes out.

use std::fmt;
use std::io;
use std::ops::Range;

use enfilade_core::{BoxError, Error};
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
    fn coded(self) -> u64 {
        self.limit.saturating_mul(2).saturating_add(SLACK)
    }

    fn has_ratio(self, taken: u64, given: u64) -> bool {
        given <= FREE_OF_RATIO || given <= taken.saturating_mul(self.ratio.into())
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

impl From<DecodeError> for Error {
    fn from(trouble: DecodeError) -> Error {
        match trouble {
            DecodeError::Malformed(_) => Error::body(trouble.to_string()),
            DecodeError::TooLarge => Error::body_too_large(),
        }
    }
}

/// The decoders of a body.
pub(super) struct Chain {
    first: Layer,
    second: Option<Second>,
    bounds: Bounds,
    /// How many coded bytes were taken.
    taken: u64,
}

impl Chain {
    pub(super) fn new(codings: Codings, bounds: Bounds) -> io::Result<Chain> {
        let (between, last) = (bounds.coded(), bounds.limit);
        let most = match codings.then {
            Some(_) => between,
            None => last,
        };
        let second = codings.then.map(|coding| -> io::Result<Second> {
            Ok(Second {
                layer: Layer::new(decoder::new(coding)?, last),
                between: vec![0; PIECE],
                waiting: 0..0,
            })
        });
        Ok(Chain {
            first: Layer::new(decoder::new(codings.first)?, most),
            second: second.transpose()?,
            bounds,
            taken: 0,
        })
    }

    /// Decodes some of `coded` into `room`, which is not empty.
    pub(super) fn decode(&mut self, coded: &[u8], room: &mut [u8]) -> Result<Step, DecodeError> {
        let step = match &mut self.second {
            None => self.first.decode(coded, room)?,
            Some(second) => second.decode(&mut self.first, coded, room)?,
        };
        self.taken += step.taken as u64;
        let layers = [Some(&self.first), self.second.as_ref().map(Second::layer)];
        let mut layers = layers.into_iter().flatten();
        let has_ratio = layers.all(|layer| self.bounds.has_ratio(self.taken, layer.given));
        match has_ratio && self.taken <= self.bounds.coded() {
            true => Ok(step),
            false => Err(DecodeError::TooLarge),
        }
    }

    /// How many bytes were moved so far, as a measure of the work.
    pub(super) fn moved(&self) -> u64 {
        let second = self.second.as_ref().map_or(0, |second| second.layer.given);
        self.taken + self.first.given + second
    }

    /// Whether nothing more can come out before something goes in.
    pub(super) fn is_starved(&self) -> bool {
        let second = self.second.as_ref();
        !self.first.has_more && second.is_none_or(Second::is_starved)
    }

    /// Whether the content may end here. Nothing at all is content of no bytes, as it is without a coding.
    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        let second = self.second.as_ref().map(Second::layer);
        let is_whole = self.first.ended && second.is_none_or(|layer| layer.ended);
        match is_whole || self.taken == 0 {
            true => Ok(()),
            false => Err(DecodeError::Malformed("it is cut off".into())),
        }
    }
}

/// A decoder, and how far it is.
struct Layer {
    decoder: Box<dyn Decoder>,
    /// How many bytes may come out, and have.
    most: u64,
    given: u64,
    /// Whether it filled the room, so that more may be waiting inside.
    has_more: bool,
    ended: bool,
}

impl Layer {
    fn new(decoder: Box<dyn Decoder>, most: u64) -> Layer {
        Layer {
            decoder,
            most,
            given: 0,
            has_more: false,
            ended: false,
        }
    }

    fn decode(&mut self, coded: &[u8], room: &mut [u8]) -> Result<Step, DecodeError> {
        if self.ended {
            if coded.is_empty() {
                return Ok(Step::default());
            }
            self.decoder.restart()?;
            self.ended = false;
        }
        // One byte more than there may be tells that there are too many.
        let left = (self.most - self.given).saturating_add(1);
        let length = room.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let room = room.get_mut(..length).unwrap_or_default();
        let step = self.decoder.decode(coded, room)?;
        self.given += step.given as u64;
        self.ended = step.ended;
        self.has_more = step.given == length && !step.ended;
        if self.given > self.most {
            return Err(DecodeError::TooLarge);
        }
        if step == Step::default() && !coded.is_empty() {
            return Err(DecodeError::Malformed("its decoder does not go on".into()));
        }
        Ok(step)
    }
}

/// A decoder behind another.
struct Second {
    layer: Layer,
    /// What passes between the two.
    between: Vec<u8>,
    /// The part of it that the second one has not taken yet.
    waiting: Range<usize>,
}

impl Second {
    fn layer(&self) -> &Layer {
        &self.layer
    }

    fn is_starved(&self) -> bool {
        self.waiting.is_empty() && !self.layer.has_more
    }

    fn decode(
        &mut self,
        first: &mut Layer,
        coded: &[u8],
        room: &mut [u8],
    ) -> Result<Step, DecodeError> {
        let mut taken = 0;
        if self.is_starved() {
            let step = first.decode(coded, &mut self.between)?;
            taken = step.taken;
            self.waiting = 0..step.given;
            if self.waiting.is_empty() {
                // A decoder that is asked for something out of nothing takes that for a mistake at some time.
                return Ok(Step { given: 0, ..step });
            }
        }
        let waiting = self.between.get(self.waiting.clone()).unwrap_or_default();
        let step = self.layer.decode(waiting, room)?;
        self.waiting.start += step.taken;
        Ok(Step { taken, ..step })
    }
}
