//! Numbers that Python passes as options, checked against what is allowed.

use std::ops::RangeInclusive;
use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyInt;

use super::refused;

/// The limit of numbers of seconds that are sent to clients: RFC 9111, section 1.2.2, lets them treat more as this.
pub(super) const MOST_SECONDS: u64 = 1 << 31;

/// Returns a whole number of this range, or an error that names the argument and what is allowed.
pub(super) fn whole(
    name: &str,
    value: &Bound<'_, PyAny>,
    allowed: RangeInclusive<u64>,
) -> PyResult<u64> {
    if !value.is_instance_of::<PyInt>() {
        let message = format!("{name} must be a whole number, not {}", value.repr()?);
        return Err(PyTypeError::new_err(message));
    }
    match value.extract::<u64>() {
        Ok(number) if allowed.contains(&number) => Ok(number),
        _ => {
            let range = range(&allowed);
            Err(refused(format!("{name} must be {range}, not {value}")))
        }
    }
}

fn range(allowed: &RangeInclusive<u64>) -> String {
    match (allowed.start(), allowed.end()) {
        (least, most) if *most >= u64::from(u32::MAX) => format!("{least} or more"),
        (least, most) => format!("from {least} to {most}"),
    }
}

/// Returns a whole number of this range, or nothing for `None`.
pub(super) fn optional_whole(
    name: &str,
    value: Option<&Bound<'_, PyAny>>,
    allowed: RangeInclusive<u64>,
) -> PyResult<Option<u64>> {
    value.map(|value| whole(name, value, allowed)).transpose()
}

/// Returns a positive number of 32 bits; a larger one is not an option that anybody needs.
pub(super) fn count(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u32> {
    let number = whole(name, value, 1..=u64::from(u32::MAX))?;
    Ok(u32::try_from(number).expect("the range has 32 bits"))
}

/// Returns a time above 0, of at most 366 days.
pub(super) fn seconds(name: &str, seconds: f64) -> PyResult<Duration> {
    const MOST: f64 = 366.0 * 86_400.0;
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if !time.is_zero() && seconds <= MOST => Ok(time),
        _ => Err(refused(format!(
            "{name} must be a number of seconds above 0, and at most 366 days, not {seconds}"
        ))),
    }
}
