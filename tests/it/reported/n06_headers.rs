//! Headers by which a gateway is told another path, method or file.

use super::Attack;

pub(super) const ATTACKS: &[Attack] = &[];
