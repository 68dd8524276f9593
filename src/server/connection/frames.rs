//! What the bytes of an HTTP/2 connection say that hyper does not: frames that cost the client nothing, and heads that
//! do not come to their end (RFC 9113, section 10.5).

use tokio::time::Instant;

use crate::server::connection::close_reason::CloseReason;

/// How long the client's preface is (RFC 9113, section 3.4).
const PREFACE: usize = 24;
const HEADER: usize = 9;
/// How many cheap frames a request buys: with one come updates of windows and of priorities.
const CREDIT_PER_REQUEST: u64 = 4;
/// How many bytes of responses buy one cheap frame.
const BYTES_PER_CREDIT: u64 = 256;

/// What is earned beyond it is lost.
const MAX_CREDIT: u64 = 16 * 1024;

// Types of frames (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Follows the frames that a client sends.
#[derive(Debug)]
pub(super) struct Frames {
    preface: usize,
    header: [u8; HEADER],
    /// How much of a frame's header came.
    known: usize,
    /// How much of its payload is left.
    left: usize,
    /// Whether a block of fields goes on in the next frame.
    is_in_block: bool,
    budget: Budget,
}

/// How many frames a client may send that ask for nothing.
#[derive(Debug)]
struct Budget {
    /// How many each second.
    rate: u32,
    left: u64,
    filled: Instant,
    /// How many more for what it asks for and takes.
    credit: u64,
}

impl Frames {
    pub(super) fn new(max_cheap_frames: u32) -> Frames {
        Frames {
            preface: PREFACE,
            header: [0; HEADER],
            known: 0,
            left: 0,
            is_in_block: false,
            budget: Budget {
                rate: max_cheap_frames,
                left: max_cheap_frames.into(),
                filled: Instant::now(),
                credit: 0,
            },
        }
    }

    /// Some bytes came; `written` bytes were sent since the last ones did.
    pub(super) fn take(&mut self, mut bytes: &[u8], written: u64) -> Result<(), CloseReason> {
        self.budget.earn(written / BYTES_PER_CREDIT);
        skip(&mut bytes, &mut self.preface);
        while !bytes.is_empty() {
            while let (Some(place), Some((byte, rest))) =
                (self.header.get_mut(self.known), bytes.split_first())
            {
                *place = *byte;
                bytes = rest;
                self.known += 1;
                if self.known == HEADER {
                    self.begin()?;
                }
            }
            skip(&mut bytes, &mut self.left);
            if self.known == HEADER && self.left == 0 {
                self.known = 0;
            }
        }
        Ok(())
    }

    /// The header of a frame is whole.
    fn begin(&mut self) -> Result<(), CloseReason> {
        let [a, b, c, kind, flags, ..] = self.header;
        self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        match kind {
            HEADERS => {
                self.is_in_block = flags & END_HEADERS == 0;
                self.budget.earn(CREDIT_PER_REQUEST);
                Ok(())
            }
            DATA if self.left > 0 || flags & END_STREAM != 0 => Ok(()),
            CONTINUATION => {
                self.is_in_block = flags & END_HEADERS == 0;
                self.budget.spend(false)
            }
            // Taking requests back and changing the settings is never what a response asks for.
            DATA | RST_STREAM | SETTINGS => self.budget.spend(false),
            _ => self.budget.spend(true),
        }
    }

    /// Whether a frame or a block of fields has begun and is not whole, but for content, which has its own limits.
    pub(super) fn is_in_head(&self) -> bool {
        let [.., kind, _, _, _, _, _] = self.header;
        let is_content = self.known == HEADER && kind == DATA;
        self.is_in_block || self.known > 0 && !is_content
    }
}

/// Passes over as much as is there.
fn skip(bytes: &mut &[u8], left: &mut usize) {
    let count = bytes.len().min(*left);
    *left -= count;
    *bytes = bytes.get(count..).unwrap_or_default();
}

impl Budget {
    fn earn(&mut self, credit: u64) {
        self.credit = self.credit.saturating_add(credit).min(MAX_CREDIT);
    }

    fn spend(&mut self, may_have_credit: bool) -> Result<(), CloseReason> {
        if may_have_credit && self.credit > 0 {
            self.credit -= 1;
            return Ok(());
        }
        if self.left == 0 {
            let now = Instant::now();
            let passed = now.duration_since(self.filled).as_millis();
            let earned = u64::try_from(passed).unwrap_or(u64::MAX);
            let earned = earned.saturating_mul(self.rate.into()) / 1_000;
            self.left = earned.min(self.rate.into());
            if self.left == 0 {
                return Err(CloseReason::CheapFrames);
            }
            self.filled = now;
        }
        self.left -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PING: u8 = 6;
    const WINDOW_UPDATE: u8 = 8;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.resize(HEADER + payload, 0);
        frame
    }

    fn frames(rate: u32) -> Frames {
        let mut frames = Frames::new(rate);
        frames.take(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0).unwrap();
        frames
    }

    /// How many of these frames are taken, which have no payload that would be left when one is not.
    fn taken(frames: &mut Frames, frame: &[u8]) -> usize {
        (0..100_000)
            .take_while(|_| frames.take(frame, 0).is_ok())
            .count()
    }

    #[tokio::test(start_paused = true)]
    async fn cheap_frames_have_a_budget_for_each_second() {
        for frame in [
            frame(PING, 0, 0),
            frame(SETTINGS, 0, 0),
            frame(WINDOW_UPDATE, 0, 0),
            frame(RST_STREAM, 0, 0),
            frame(DATA, 0, 0),
            frame(CONTINUATION, 0, 0),
            frame(77, 0, 0),
        ] {
            let mut frames = frames(100);
            assert_eq!(taken(&mut frames, &frame), 100, "{frame:?}");
            tokio::time::advance(Duration::from_millis(500)).await;
            assert_eq!(taken(&mut frames, &frame), 50, "{frame:?}");
            tokio::time::advance(Duration::from_secs(60)).await;
            assert_eq!(taken(&mut frames, &frame), 100, "{frame:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_and_responses_buy_cheap_frames_but_no_resets() {
        let mut frames = frames(100);
        let mut bytes = frame(HEADERS, END_HEADERS | END_STREAM, 10);
        for _ in 0..4 {
            bytes.extend(frame(WINDOW_UPDATE, 0, 4));
        }
        assert_eq!(taken(&mut frames, &bytes), 100_000);
        frames.take(&[], 256 * 400).unwrap();
        assert_eq!(taken(&mut frames, &frame(PING, 0, 0)), 500);
        frames.take(&[], 1 << 40).unwrap();
        assert_eq!(taken(&mut frames, &frame(RST_STREAM, 0, 0)), 0);
        // What is earned is not kept without bound.
        assert_eq!(taken(&mut frames, &frame(PING, 0, 0)), 16_384);
    }

    #[tokio::test(start_paused = true)]
    async fn content_is_not_cheap() {
        let mut frames = frames(1);
        for frame in [
            frame(DATA, 0, 1),
            frame(DATA, END_STREAM, 0),
            frame(HEADERS, END_HEADERS, 1),
        ] {
            assert_eq!(taken(&mut frames, &frame), 100_000);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_open_until_its_last_byte() {
        let bytes = [
            frame(HEADERS, 0, 5),
            frame(CONTINUATION, 0, 5),
            frame(CONTINUATION, END_HEADERS, 5),
        ];
        let bytes = bytes.concat();
        let mut frames = frames(100);
        assert!(!frames.is_in_head());
        for (at, byte) in bytes.iter().enumerate() {
            frames.take(&[*byte], 0).unwrap();
            assert_eq!(frames.is_in_head(), at + 1 < bytes.len(), "{at}");
        }
        frames.take(&frame(DATA, 0, 10)[..12], 0).unwrap();
        assert!(!frames.is_in_head());
        frames.take(&[0; 7], 0).unwrap();
        frames.take(&frame(PING, 0, 8)[..12], 0).unwrap();
        assert!(frames.is_in_head());
    }
}
