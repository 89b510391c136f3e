//! What stands for the metrics in a build without the feature `otel`: nothing, of which there is none.

use std::time::Duration;

use super::chat::Measured;
use super::{End, Labels, Observer};

pub(super) enum Metrics {}

impl Metrics {
    pub(super) fn chats(&self, _: &Labels<'_>, _: i64) {
        match *self {}
    }

    pub(super) fn chat(&self, _: &Labels<'_>, _: &Measured, _: bool, _: &End<'_>) {
        match *self {}
    }

    pub(super) fn operation(&self, _: &Labels<'_>, _: Duration, _: &End<'_>) {
        match *self {}
    }

    pub(super) fn step(&self, _: &Observer, _: &'static str, _: &str, _: &str) {
        match *self {}
    }
}
