//! Stands in for `shadowed` without the feature `route-check`: no route is checked.

use super::table::Table;

pub(super) fn warnings(_: &Table) -> impl Iterator<Item = String> {
    std::iter::empty()
}
