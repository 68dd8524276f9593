//! Tests of ranges.
