//! Checks of an HTTP/2 connection that hyper does not make (RFC 9113, section 10.5).
//!
//! They find frames that cost the client nothing, and heads that never end.

use tokio::time::Instant;

use crate::server::connection::close_reason::CloseReason;

/// The length of the client's preface (RFC 9113, section 3.4).
const PREFACE: usize = 24;
const HEADER: usize = 9;
/// How many cheap frames a request earns: it comes with updates of windows and priorities.
const CREDIT_PER_REQUEST: u64 = 4;
/// How many cheap frames a frame of content earns: updates of the stream's window and of the connection's.
const CREDIT_PER_FRAME: u64 = 2;
/// How many bytes of responses earn one cheap frame.
const BYTES_PER_CREDIT: u64 = 256;
/// A frame with no more content than this is no progress of a response.
const TRICKLE: usize = 64;
/// The default size of windows (RFC 9113, section 6.9.2).
const DEFAULT_WINDOW: u32 = 65_535;

/// The maximum credit; more is lost.
const MAX_CREDIT: u64 = 256 * 1024;

// Types of frames (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const INITIAL_WINDOW_SIZE: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Finds the headers of frames in bytes that arrive in parts.
#[derive(Debug, Default)]
struct FrameReader {
    header: [u8; HEADER],
    /// How many bytes of a frame's header have arrived.
    known: usize,
    /// How many bytes of its payload are left.
    left: usize,
}

/// The content of a frame's header, and the start of its payload.
#[derive(Clone, Copy)]
struct FrameHeader {
    length: usize,
    kind: u8,
    flags: u8,
}

impl FrameReader {
    /// Skips bytes until the header of a frame is complete.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<FrameHeader> {
        skip(bytes, &mut self.left);
        if self.known == HEADER && self.left == 0 {
            self.known = 0;
        }
        while let (Some(place), Some((byte, rest))) =
            (self.header.get_mut(self.known), bytes.split_first())
        {
            *place = *byte;
            *bytes = rest;
            self.known += 1;
        }
        (self.known == HEADER && self.left == 0).then(|| {
            let [a, b, c, kind, flags, ..] = self.header;
            let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            FrameHeader {
                length,
                kind,
                flags,
            }
        })
    }
}

/// Tracks the frames of a connection.
#[derive(Debug)]
pub(super) struct Frames {
    preface: usize,
    received: FrameReader,
    /// Whether a block of fields continues in the next frame.
    is_in_block: bool,
    /// A setting or a window update that is being read.
    value: Vec<u8>,
    budget: Budget,
    sent: FrameReader,
    flow: Flow,
}

/// How much the client lets the server send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    /// The initial window of every stream.
    pub(super) initial_window: u32,
    /// The rest of the connection's window.
    window: i64,
    /// How many bytes of content were sent in total.
    pub(super) sent: u64,
}

impl Flow {
    /// Whether streams wait for the connection, whatever their own windows are.
    pub(super) fn is_exhausted(&self) -> bool {
        self.window <= 0
    }
}

/// How many frames that request nothing a client may send.
#[derive(Debug)]
struct Budget {
    /// How many each second.
    rate: u32,
    left: u64,
    filled: Instant,
    /// How many more, earned by its requests and by the responses that it reads.
    credit: u64,
}

impl Frames {
    pub(super) fn new(max_cheap_frames: u32) -> Frames {
        Frames {
            preface: PREFACE,
            received: FrameReader::default(),
            is_in_block: false,
            value: Vec::new(),
            budget: Budget {
                rate: max_cheap_frames,
                left: max_cheap_frames.into(),
                filled: Instant::now(),
                credit: 0,
            },
            sent: FrameReader::default(),
            flow: Flow {
                initial_window: DEFAULT_WINDOW,
                window: DEFAULT_WINDOW.into(),
                sent: 0,
            },
        }
    }

    pub(super) fn flow(&self) -> Flow {
        self.flow
    }

    /// Processes received bytes.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<(), CloseReason> {
        skip(&mut bytes, &mut self.preface);
        while !bytes.is_empty() {
            self.read_value(bytes);
            if let Some(header) = self.received.next(&mut bytes) {
                self.begin(header)?;
            }
        }
        Ok(())
    }

    /// Processes a complete header of a frame.
    fn begin(&mut self, header: FrameHeader) -> Result<(), CloseReason> {
        self.received.left = header.length;
        self.value.clear();
        match header.kind {
            HEADERS => {
                self.is_in_block = header.flags & END_HEADERS == 0;
                self.budget.earn(CREDIT_PER_REQUEST);
                Ok(())
            }
            DATA if header.length > 0 || header.flags & END_STREAM != 0 => Ok(()),
            CONTINUATION => {
                self.is_in_block = header.flags & END_HEADERS == 0;
                self.budget.spend(false)
            }
            // A response never needs cancelled requests or changed settings.
            DATA | RST_STREAM | SETTINGS => self.budget.spend(false),
            _ => self.budget.spend(true),
        }
    }

    /// Reads a setting or an update that opens windows.
    fn read_value(&mut self, bytes: &[u8]) {
        let [_, _, _, kind, flags, stream @ ..] = self.received.header;
        let size = match kind {
            SETTINGS if flags & ACK == 0 => 6,
            WINDOW_UPDATE if stream == [0; 4] => 4,
            _ => return,
        };
        let is_in_payload = self.received.known == HEADER;
        let count = if is_in_payload {
            self.received.left.min(bytes.len())
        } else {
            0
        };
        for byte in bytes.get(..count).unwrap_or_default() {
            self.value.push(*byte);
            if self.value.len() < size {
                continue;
            }
            match self.value[..] {
                [0, INITIAL_WINDOW_SIZE, a, b, c, d] => {
                    self.flow.initial_window = u32::from_be_bytes([a, b, c, d]);
                }
                [a, b, c, d] => {
                    let bytes = u32::from_be_bytes([a & 0x7f, b, c, d]);
                    self.flow.window += i64::from(bytes);
                }
                _ => {}
            }
            self.value.clear();
        }
    }

    /// Processes sent bytes; returns whether they belong to a response.
    pub(super) fn send(&mut self, mut bytes: &[u8]) -> bool {
        let mut is_response = false;
        while !bytes.is_empty() {
            // The rest of a frame whose header came before.
            let kind = self.sent.header.get(3).copied();
            is_response |= self.sent.left >= TRICKLE && kind == Some(DATA);
            if let Some(header) = self.sent.next(&mut bytes) {
                self.sent.left = header.length;
                if header.kind == DATA {
                    let length = header.length as u64;
                    self.flow.sent = self.flow.sent.saturating_add(length);
                    self.flow.window -= i64::try_from(length).unwrap_or(i64::MAX);
                    self.budget
                        .earn(CREDIT_PER_FRAME + length / BYTES_PER_CREDIT);
                }
                is_response |= match header.kind {
                    DATA => header.length >= TRICKLE || header.flags & END_STREAM != 0,
                    kind => kind == HEADERS || kind == CONTINUATION,
                };
            }
        }
        is_response
    }

    /// Whether a frame or a block of fields is incomplete; content is excluded, because it has limits of its own.
    pub(super) fn is_in_head(&self) -> bool {
        let reader = &self.received;
        let [.., kind, _, _, _, _, _] = reader.header;
        let is_content = reader.known == HEADER && kind == DATA;
        let is_whole = reader.known == 0 || reader.known == HEADER && reader.left == 0;
        self.is_in_block || !is_whole && !is_content
    }
}

/// Skips as much as is there.
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

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.resize(HEADER + payload, 0);
        frame
    }

    fn frames(rate: u32) -> Frames {
        let mut frames = Frames::new(rate);
        frames.take(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        frames
    }

    /// How many of these frames, without payload, are accepted.
    fn taken(frames: &mut Frames, frame: &[u8]) -> usize {
        (0..1_000_000)
            .take_while(|_| frames.take(frame).is_ok())
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
        assert_eq!(taken(&mut frames, &bytes), 1_000_000);
        frames.send(&frame(DATA, 0, 256 * 398));
        assert_eq!(taken(&mut frames, &frame(PING, 0, 0)), 500);
        frames.send(&frame(DATA, 0, 1 << 20).repeat(100));
        assert_eq!(taken(&mut frames, &frame(RST_STREAM, 0, 0)), 0);
        // The credit is bounded.
        assert_eq!(taken(&mut frames, &frame(PING, 0, 0)), 262_144);
    }

    #[tokio::test(start_paused = true)]
    async fn windows_are_what_the_client_opens_and_the_server_uses() {
        let settings = [
            &frame(SETTINGS, 0, 12)[..HEADER],
            &[0, 3, 0, 0, 0, 9, 0, 4, 0, 0, 1, 0],
        ];
        let mut update = frame(WINDOW_UPDATE, 0, 4);
        update[8] = 0;
        update[12] = 5;
        let received = [&settings.concat()[..], &update, &frame(WINDOW_UPDATE, 0, 4)].concat();
        let sent = [
            frame(HEADERS, END_HEADERS, 20),
            frame(DATA, 0, 40_000),
            frame(DATA, END_STREAM, 25_539),
        ];
        let sent = sent.concat();
        for part in [1, 7, 100_000] {
            let mut frames = frames(100);
            received
                .chunks(part)
                .for_each(|part| frames.take(part).unwrap());
            sent.chunks(part).for_each(|part| _ = frames.send(part));
            let flow = frames.flow();
            assert_eq!(
                (flow.initial_window, flow.window, flow.sent),
                (256, 1, 65_539)
            );
            assert!(!flow.is_exhausted());
            frames.send(&frame(DATA, 0, 1));
            assert!(frames.flow().is_exhausted());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_moves_on_with_its_head_and_its_content() {
        for (sent, expected) in [
            (frame(HEADERS, END_HEADERS, 20), true),
            (frame(DATA, 0, 64), true),
            (frame(DATA, END_STREAM, 1), true),
            (frame(DATA, 0, 1), false),
            (frame(PING, ACK, 8), false),
            (frame(SETTINGS, ACK, 0), false),
            (frame(WINDOW_UPDATE, 0, 4), false),
        ] {
            assert_eq!(frames(1).send(&sent), expected, "{sent:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn content_is_not_cheap() {
        let mut frames = frames(1);
        for frame in [
            frame(DATA, 0, 1),
            frame(DATA, END_STREAM, 0),
            frame(HEADERS, END_HEADERS, 1),
        ] {
            assert_eq!(taken(&mut frames, &frame), 1_000_000);
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
            frames.take(&[*byte]).unwrap();
            assert_eq!(frames.is_in_head(), at + 1 < bytes.len(), "{at}");
        }
        frames.take(&frame(DATA, 0, 10)[..12]).unwrap();
        assert!(!frames.is_in_head());
        frames.take(&[0; 7]).unwrap();
        frames.take(&frame(PING, 0, 8)[..12]).unwrap();
        assert!(frames.is_in_head());
    }
}
