//! Files that are read without a bound.

use super::Attack;

pub(super) const ATTACKS: &[Attack] = &[];
