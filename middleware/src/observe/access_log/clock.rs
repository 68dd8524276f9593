//! The time in a line.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use time::format_description::{self, OwnedFormatItem};
use time::{OffsetDateTime, UtcOffset};

use crate::shared::escape::Syntax;

/// A time for lines, in seconds since 1970. Most lines reuse the cached text of date and time of day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moment {
    second: i64,
    nanosecond: u32,
}

impl Moment {
    pub(super) const EPOCH: Moment = Moment {
        second: 0,
        nanosecond: 0,
    };

    pub(super) fn of(time: OffsetDateTime) -> Moment {
        Moment {
            second: time.unix_timestamp(),
            nanosecond: time.nanosecond(),
        }
    }
}

pub(super) type Now = Arc<dyn Fn() -> Moment + Send + Sync>;

/// The system's clock, which is the default.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where lines read the clock; an option replaces it"
)]
pub(super) fn system() -> Now {
    Arc::new(|| match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(passed) => Moment {
            second: passed.as_secs().cast_signed(),
            nanosecond: passed.subsec_nanos(),
        },
        // A clock that is set before 1970.
        Err(_) => Moment::of(OffsetDateTime::now_utc()),
    })
}

/// A clock with dates, for rotation by day.
pub(super) type Dates = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// The system's clock, which is the default.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where files read the clock; an option replaces it"
)]
pub(super) fn dates() -> Dates {
    Arc::new(OffsetDateTime::now_utc)
}

/// The format of a time.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TimeFormat {
    /// `[06/Nov/1994:08:49:37 +0000]`
    Common,
    /// `1994-11-06T08:49:37.000Z`
    Rfc3339,
    /// As `strftime` writes it.
    Strftime(OwnedFormatItem),
    /// Since 1970, in parts of this many per second.
    Since(i128),
    /// The fraction of the second, in this many digits.
    Fraction(usize),
}

impl TimeFormat {
    /// Parses the argument of `%{...}t` without a leading `begin:` or `end:`.
    pub(super) fn parse(argument: &str) -> Result<TimeFormat, String> {
        Ok(match argument {
            "" => TimeFormat::Common,
            "rfc3339" => TimeFormat::Rfc3339,
            "sec" => TimeFormat::Since(1),
            "msec" => TimeFormat::Since(1_000),
            "usec" => TimeFormat::Since(1_000_000),
            "msec_frac" => TimeFormat::Fraction(3),
            "usec_frac" => TimeFormat::Fraction(6),
            _ => TimeFormat::strftime(argument)?,
        })
    }

    fn strftime(argument: &str) -> Result<TimeFormat, String> {
        let item = format_description::parse_strftime_owned(argument)
            .map_err(|error| format!("{argument:?} is not a time format: {error}"))?;
        // `%n` is a line feed.
        let sample = OffsetDateTime::UNIX_EPOCH.format(&item);
        match sample {
            Ok(text) if !text.contains(|shown: char| shown.is_control() && shown != '\t') => {
                Ok(TimeFormat::Strftime(item))
            }
            Ok(_) => Err(format!("{argument:?} would break the line")),
            Err(error) => Err(format!("{argument:?} is not a time format: {error}")),
        }
    }

    /// Writes the part that stays the same for a second; `None` if the time cannot be written (a year before 0).
    fn write_second(&self, local: OffsetDateTime) -> Option<Vec<u8>> {
        let mut text = Vec::with_capacity(32);
        match self {
            TimeFormat::Common => write_common(&mut text, local)?,
            TimeFormat::Rfc3339 => write_date_time(&mut text, local)?,
            TimeFormat::Strftime(item) => local.format_into(&mut text, item).map(drop).ok()?,
            TimeFormat::Since(_) | TimeFormat::Fraction(_) => {}
        }
        (local.year() >= 0).then_some(text)
    }

    /// Writes the rest.
    fn write_rest(&self, line: &mut Vec<u8>, now: Moment, offset: UtcOffset) {
        let nanoseconds = now.nanosecond;
        match self {
            TimeFormat::Common | TimeFormat::Strftime(_) => {}
            TimeFormat::Rfc3339 => {
                line.push(b'.');
                digits::<3>(line, nanoseconds / 1_000_000);
                write_offset(line, offset);
            }
            TimeFormat::Since(parts) => {
                let time = i128::from(now.second) * 1_000_000_000 + i128::from(nanoseconds);
                let time = time.div_euclid(1_000_000_000 / parts);
                line.extend_from_slice(itoa::Buffer::new().format(time).as_bytes());
            }
            TimeFormat::Fraction(3) => digits::<3>(line, nanoseconds / 1_000_000),
            TimeFormat::Fraction(_) => digits::<6>(line, nanoseconds / 1_000),
        }
    }
}

/// Writes the time of a request like Apache.
fn write_common(line: &mut Vec<u8>, time: OffsetDateTime) -> Option<()> {
    let (day, month, year) = (time.day(), time.month().to_string(), time.year());
    let (hour, minute, second) = time.to_hms();
    write!(line, "[{day:02}/{}/{year:04}:", month.get(..3)?).ok()?;
    let offset = time.offset();
    let sign = if offset.is_negative() { '-' } else { '+' };
    let (hours, minutes, _) = offset.as_hms();
    let (hours, minutes) = (hours.unsigned_abs(), minutes.unsigned_abs());
    write!(
        line,
        "{hour:02}:{minute:02}:{second:02} {sign}{hours:02}{minutes:02}]"
    )
    .ok()
}

/// The part of RFC 3339 that stays the same for a second.
fn write_date_time(line: &mut Vec<u8>, time: OffsetDateTime) -> Option<()> {
    let (hour, minute, second) = time.to_hms();
    write!(line, "{}T{hour:02}:{minute:02}:{second:02}", time.date()).ok()
}

/// Appends the offset as RFC 3339 writes it, whole minutes.
fn write_offset(line: &mut Vec<u8>, offset: UtcOffset) {
    if offset.is_utc() {
        line.push(b'Z');
        return;
    }
    let (hours, minutes, _) = offset.as_hms();
    line.push(if offset.is_negative() { b'-' } else { b'+' });
    digits::<2>(line, u32::from(hours.unsigned_abs()));
    line.push(b':');
    digits::<2>(line, u32::from(minutes.unsigned_abs()));
}

/// Appends a number with this many digits.
fn digits<const COUNT: usize>(line: &mut Vec<u8>, mut number: u32) {
    let mut text = [b'0'; COUNT];
    for place in text.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
    line.extend_from_slice(&text);
}

/// A clock that formats a second once, in each of several formats.
pub(super) struct Clock {
    now: Now,
    offset: UtcOffset,
    stamps: Vec<Stamp>,
}

struct Stamp {
    format: TimeFormat,
    syntax: Syntax,
    /// The last second and its text. The lock is held while some bytes are copied, and never waited for: if another
    /// request holds it, formatting again (a fraction of a microsecond) is cheaper than parking the thread.
    last: Mutex<(i64, Vec<u8>)>,
}

impl Clock {
    pub(super) fn new(
        now: Now,
        offset: UtcOffset,
        syntax: Syntax,
        formats: &[TimeFormat],
    ) -> Clock {
        let stamps = formats.iter().map(|format| Stamp {
            format: format.clone(),
            syntax,
            last: Mutex::new((i64::MIN, Vec::new())),
        });
        Clock {
            now,
            offset,
            stamps: stamps.collect(),
        }
    }

    pub(super) fn now(&self) -> Moment {
        (self.now)()
    }

    /// Appends a time in the format with this index; appends nothing if it cannot be written.
    pub(super) fn write_to(&self, line: &mut Vec<u8>, format: usize, now: Moment) {
        if let Some(stamp) = self.stamps.get(format)
            && stamp.write_second(line, now, self.offset).is_some()
        {
            stamp.format.write_rest(line, now, self.offset);
        }
    }
}

impl Stamp {
    fn write_second(&self, line: &mut Vec<u8>, now: Moment, offset: UtcOffset) -> Option<()> {
        let second = now.second;
        if let Ok(last) = self.last.try_lock()
            && last.0 == second
        {
            line.extend_from_slice(&last.1);
            return Some(());
        }
        let local = OffsetDateTime::from_unix_timestamp(second).ok()?;
        let mut text = self.format.write_second(local.checked_to_offset(offset)?)?;
        // Text in a time format is as safe as the rest of the format; but JSON needs its own escapes.
        if self.syntax == Syntax::Json {
            let plain = std::mem::take(&mut text);
            self.syntax.escape(&mut text, &plain);
        }
        line.extend_from_slice(&text);
        if let Ok(mut last) = self.last.try_lock() {
            *last = (second, text);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use time::macros::{datetime, offset};

    use super::*;

    fn text(clock: &Clock) -> String {
        let mut line = Vec::new();
        clock.write_to(&mut line, 0, clock.now());
        String::from_utf8(line).unwrap()
    }

    fn clock(seconds: i64, offset: UtcOffset, format: &str) -> Clock {
        let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let time = time.replace_microsecond(42_007).unwrap();
        let format = TimeFormat::parse(format).unwrap();
        Clock::new(
            Arc::new(move || Moment::of(time)),
            offset,
            Syntax::Text,
            &[format],
        )
    }

    #[test]
    fn writes_the_time_with_its_offset() {
        let cases = [
            (784_111_777, offset!(UTC), "[06/Nov/1994:08:49:37 +0000]"),
            (784_111_777, offset!(+5:30), "[06/Nov/1994:14:19:37 +0530]"),
            (784_111_777, offset!(-3:30), "[06/Nov/1994:05:19:37 -0330]"),
            (784_111_777, offset!(-11), "[05/Nov/1994:21:49:37 -1100]"),
            (-1, offset!(UTC), "[31/Dec/1969:23:59:59 +0000]"),
            (-99_999_999_999, offset!(UTC), ""),
        ];
        for (seconds, offset, expected) in cases {
            let clock = clock(seconds, offset, "");
            assert_eq!(text(&clock), expected);
            assert_eq!(text(&clock), expected, "from the cache");
        }
    }

    #[test]
    fn writes_the_time_in_each_format() {
        let cases = [
            ("rfc3339", offset!(UTC), "1994-11-06T08:49:37.042Z"),
            ("rfc3339", offset!(+5:30), "1994-11-06T14:19:37.042+05:30"),
            ("rfc3339", offset!(-0:30), "1994-11-06T08:19:37.042-00:30"),
            ("sec", offset!(+1), "784111777"),
            ("msec", offset!(+1), "784111777042"),
            ("usec", offset!(+1), "784111777042007"),
            ("msec_frac", offset!(+1), "042"),
            ("usec_frac", offset!(+1), "042007"),
            ("%d/%b/%Y %T %%", offset!(+1), "06/Nov/1994 09:49:37 %"),
            (
                "%Y-%m-%dT%H:%M:%S%z",
                offset!(+1),
                "1994-11-06T09:49:37+0100",
            ),
        ];
        for (format, offset, expected) in cases {
            let clock = clock(784_111_777, offset, format);
            assert_eq!(text(&clock), expected);
            assert_eq!(text(&clock), expected, "from the cache");
        }
    }

    #[test]
    fn a_mistake_in_a_time_format_is_told() {
        for (format, expected) in [
            ("%n", "\"%n\" would break the line"),
            ("%Q", "\"%Q\" is not a time format: "),
            ("%", "\"%\" is not a time format: "),
        ] {
            let error = TimeFormat::parse(format).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn the_text_changes_with_the_second_and_needs_no_lock() {
        let time = Arc::new(Mutex::new(datetime!(2000-01-01 0:00:00.9 UTC)));
        let now = time.clone();
        let now: Now = Arc::new(move || Moment::of(*now.lock().unwrap()));
        let clock = Clock::new(now, UtcOffset::UTC, Syntax::Text, &[TimeFormat::Common]);
        assert_eq!(text(&clock), "[01/Jan/2000:00:00:00 +0000]");
        *time.lock().unwrap() = datetime!(2000-01-01 0:00:01 UTC);
        let held = clock.stamps[0].last.lock().unwrap();
        assert_eq!(text(&clock), "[01/Jan/2000:00:00:01 +0000]");
        drop(held);
        assert_eq!(text(&clock), "[01/Jan/2000:00:00:01 +0000]");
    }
}
