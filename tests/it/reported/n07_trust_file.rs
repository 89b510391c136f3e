//! A trust file that is not found.

use super::Attack;

pub(super) const ATTACKS: &[Attack] = &[];
