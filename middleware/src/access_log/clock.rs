//! The time of a line.

use std::sync::{Arc, Mutex};

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// How Apache writes the time of a request.
const COMMON: &[BorrowedFormatItem<'_>] = format_description!(
    "[[[day]/[month repr:short]/[year]:[hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]]"
);

pub(super) type Now = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

type Stamp = [u8; 28];

/// The system's clock, which is the default.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where this wrapper reads the clock; an option replaces it"
)]
pub(super) fn system() -> Now {
    Arc::new(OffsetDateTime::now_utc)
}

/// A clock that writes a second's text once.
pub(super) struct Clock {
    now: Now,
    offset: UtcOffset,
    /// The last second and its text. It is locked for a copy of 36 bytes and never waited for: where another request
    /// holds it, formatting anew (a fraction of a microsecond) is cheaper than parking the thread.
    last: Mutex<(i64, Stamp)>,
}

impl Clock {
    pub(super) fn new(now: Now, offset: UtcOffset) -> Clock {
        Clock {
            now,
            offset,
            last: Mutex::new((i64::MIN, [b'-'; 28])),
        }
    }

    /// Appends `[06/Nov/1994:08:49:37 +0000]`, or `-` for a time that has no such text (a year before 0).
    pub(super) fn write_to(&self, line: &mut Vec<u8>) {
        let now = (self.now)();
        let second = now.unix_timestamp();
        match self.cached(second).or_else(|| self.format(now, second)) {
            Some(stamp) => line.extend_from_slice(&stamp),
            None => line.push(b'-'),
        }
    }

    fn cached(&self, second: i64) -> Option<Stamp> {
        let last = self.last.try_lock().ok()?;
        (last.0 == second).then_some(last.1)
    }

    fn format(&self, now: OffsetDateTime, second: i64) -> Option<Stamp> {
        let mut stamp: Stamp = [0; 28];
        let local = now.checked_to_offset(self.offset)?;
        let length = local.format_into(&mut &mut stamp[..], COMMON).ok()?;
        if length != stamp.len() {
            return None;
        }
        if let Ok(mut last) = self.last.try_lock() {
            *last = (second, stamp);
        }
        Some(stamp)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::{datetime, offset};

    use super::*;

    fn text(clock: &Clock) -> String {
        let mut line = Vec::new();
        clock.write_to(&mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn writes_the_time_with_its_offset() {
        let cases = [
            (784_111_777, offset!(UTC), "[06/Nov/1994:08:49:37 +0000]"),
            (784_111_777, offset!(+5:30), "[06/Nov/1994:14:19:37 +0530]"),
            (784_111_777, offset!(-3:30), "[06/Nov/1994:05:19:37 -0330]"),
            (784_111_777, offset!(-11), "[05/Nov/1994:21:49:37 -1100]"),
            (-1, offset!(UTC), "[31/Dec/1969:23:59:59 +0000]"),
            (-99_999_999_999, offset!(UTC), "-"),
        ];
        for (seconds, offset, expected) in cases {
            let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let clock = Clock::new(Arc::new(move || time), offset);
            assert_eq!(text(&clock), expected);
            assert_eq!(text(&clock), expected, "from the cache");
        }
    }

    #[test]
    fn the_text_changes_with_the_second_and_needs_no_lock() {
        let time = Arc::new(Mutex::new(datetime!(2000-01-01 0:00:00.9 UTC)));
        let now = time.clone();
        let clock = Clock::new(Arc::new(move || *now.lock().unwrap()), UtcOffset::UTC);
        assert_eq!(text(&clock), "[01/Jan/2000:00:00:00 +0000]");
        *time.lock().unwrap() = datetime!(2000-01-01 0:00:01 UTC);
        let held = clock.last.lock().unwrap();
        assert_eq!(text(&clock), "[01/Jan/2000:00:00:01 +0000]");
        drop(held);
        assert_eq!(text(&clock), "[01/Jan/2000:00:00:01 +0000]");
    }
}
