//! Invisible and direction-changing characters in output.

use super::Attack;

pub(super) const ATTACKS: &[Attack] = &[];
