//! Bytes of one request that become the next chat's request.

use super::Attack;

pub(super) const ATTACKS: &[Attack] = &[];
